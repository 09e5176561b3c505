"""One learning step in plain Python integers, written from docs/numerics.md alone.

Slow and plain on purpose: loops, no numpy arithmetic, no import from fregen.golden, and none from fregen.spec.network
either: shifts and exponents are derived here a second time.
"""

import math

from second_source import dither, drawn_pairs


def log2_of(scale):
    k = 0
    while scale < 1:
        scale, k = scale * 2, k + 1
    assert scale == 1
    return k


def rounded(word, shift):
    """Nearest, ties to even."""
    if shift <= 0:
        return word << -shift
    low, rest = divmod(word, 1 << shift)
    if 2 * rest > 1 << shift or (2 * rest == 1 << shift and low % 2):
        low += 1
    return low


class Reference:
    def __init__(self, design):
        n, lay, num, learn = design.network, design.network.layers, design.numerics, design.learning
        self.design, self.sizes, self.num, self.learning = design, lay, num, learn
        self.hidden = list(range(1, len(lay) - 1))
        self.top, self.output = len(lay) - 2, len(lay) - 1
        self.fw, self.fs, self.fd, self.fe = (q.frac_bits for q in (num.weight, num.state, num.offset, num.error))
        self.kn = log2_of(learn.nudge)
        self.connect(n)
        self.g = {self.output: 0}
        for _ in lay:
            for source, target, _, _, k in self.links:
                if source and target != self.output and source in self.g:
                    self.g[target] = min(self.g.get(target, 999), self.g[source] + k)
        self.g |= {i: max(self.g.values()) for i in self.hidden if i not in self.g}
        self.offsets = learn.nudged == "offset"
        self.again = learn.error == "recomputed"
        self.sweep = learn.order == "sweep"
        needs = []
        for source, target, _, _, k in self.links:
            if source == self.output:
                needs.append(self.fw + self.fe + self.kn - (self.g[target] if self.offsets else 0))
                continue
            needs.append(self.fw + self.fs + k)
            if self.offsets and source and (target != self.output or self.again):
                needs.append(self.need_d(source, target, k))
        self.F = max(needs)
        act = num.activation
        self.n = act.segments if act.function == "tanh" else 1
        self.R = act.range if act.function == "tanh" else 1
        self.step_log2 = round(math.log2(self.R / self.n))
        self.tau = self.F + self.step_log2
        function = math.tanh if act.function == "tanh" else (lambda x: x)
        self.knots = [round(function(k * self.R / self.n) * 2 ** (self.fs + 2)) for k in range(self.n + 1)]
        self.odd = act.function != "hard-sigmoid"
        # Error words of 10 fraction bits and more: steps of 2^-(fe - 3) up to 16 and 2^(fe - 1) reciprocals.
        fine = self.fe > 9
        self.step, self.rest = (self.fe - 3, self.fe - 1) if fine else (5, 6)
        self.last = (16 if fine else 8) * 2**self.step - 1
        self.E = [round(math.exp(-k / 2**self.step) * 2 ** (self.fe + 3)) for k in range(self.last)] + [0]
        half = 2**self.rest
        self.Rec = [round(half / (half + k + 0.5) * 2 ** (self.fe + 3)) for k in range(half)]

    def connect(self, network):
        """List matrices (target, source, learned) and links (source, target, matrix, transposed, k of the scale)."""
        count, symmetric = len(self.hidden), network.feedback == "symmetric"
        drawn = drawn_pairs(count, network.probability, network.graph_seed) if network.topology == "random" else ()
        pairs = []
        for t in self.hidden:
            for s in self.hidden:
                near = abs(s - t) == 1 or (s, t) in drawn
                if network.topology == "residual":
                    low = min(s, t) - network.start
                    near = near or (abs(s - t) == network.block and low >= 0 and low % network.block == 0)
                if network.topology == "adjacency":
                    near = network.adjacency[t - 1][s - 1] == 1
                if near:
                    pairs.append((s, t))
        ups = [(0, 1), (self.top, self.output), *(p for p in pairs if p[0] < p[1])]
        ups = sorted(p for p in ups if p[1] == p[0] + 1) + sorted(p for p in ups if p[1] > p[0] + 1)
        downs = sorted(p for p in pairs if p[0] > p[1])
        own = [(s, t) for s, t in downs if not symmetric or (t, s) not in pairs]
        own += [] if symmetric else [(self.output, self.top)]
        assert count or not pairs
        self.matrices = [(t, s, True) for s, t in ups] + [(t, s, False) for s, t in own]
        scales = {(c.source, c.target): c.scale for c in network.scales}
        self.links = []
        for index, (t, s, learned) in enumerate(self.matrices):
            scale = 1
            if (s, t) in pairs:
                scale = scales.get((s, t), network.alpha if learned else network.beta)
            # An output error's scale is counted where the nudge comes in.
            self.links.append((s, t, index, False, self.kn if s == self.output else log2_of(scale)))
            if learned and symmetric and t == self.output:
                self.links.append((t, s, index, True, self.kn))
            elif learned and symmetric and (t, s) in pairs:
                self.links.append((t, s, index, True, log2_of(scales.get((t, s), network.beta))))

    def need_d(self, source, target, k):
        return self.fw + self.fd + k + self.g[source] - self.g[target]

    def dot(self, words, vector, need):
        return sum(a * b for a, b in zip(words, vector, strict=True)) << (self.F - need)

    def column(self, matrix, j):
        return [row[j] for row in matrix]

    def activation(self, h):
        m = abs(h)
        k, t = m >> self.tau, m % (1 << self.tau)
        if k < self.n:
            slope = self.knots[k + 1] - self.knots[k]
            y = rounded((self.knots[k] << self.tau) + slope * t, self.tau + 2)
        else:
            slope = 0
            y = rounded(self.knots[self.n] << self.tau, self.tau + 2)
        if h < 0:
            y, slope = (-y, slope) if self.odd else (0, 0)
        return self.num.state.saturate(y), slope

    def row(self, W, link, r):
        """The words of a link's matrix that neuron r of its target reads."""
        _, _, index, transposed, _ = link
        return self.column(W[index], r) if transposed else W[index][r]

    def sum_free(self, W, s, i, r):
        """Free sum of neuron r of layer i from states s (by layer)."""
        h = 0
        for link in self.links:
            if link[1] == i and link[0] != self.output:
                h += self.dot(self.row(W, link, r), s[link[0]], self.fw + self.fs + link[4])
        return h

    def sum_error(self, W, e, i, r):
        a = 0
        for link in self.links:
            if link[1] == i and link[0] == self.output:
                need = self.fw + self.fe + self.kn - (self.g[i] if self.offsets else 0)
                a += self.dot(self.row(W, link, r), e, need)
        return a

    def sum_offset(self, W, d, i, r):
        a = 0
        for link in self.links:
            if link[1] == i and link[0] not in (0, self.output):
                a += self.dot(self.row(W, link, r), d[link[0]], self.need_d(link[0], i, link[4]))
        return a

    def logits(self, W, s, d=None):
        out = []
        for r in range(self.sizes[self.output]):
            a = self.sum_free(W, s, self.output, r)
            out.append(a if d is None else a + self.sum_offset(W, d, self.output, r))
        return out

    def error(self, logits, label):
        M, fe = max(logits), self.fe
        index = []
        for a in logits:
            x, drop = M - a, self.F - self.step
            i = (x + (1 << (drop - 1))) >> drop if drop > 0 else x << -drop
            index.append(min(i, self.last))
        S = sum(self.E[i] for i in index)
        z = S.bit_length() - 1
        text = format(S, "b")[1 : 1 + self.rest].ljust(self.rest, "0")
        r = int(text, 2)
        errors = []
        for k, i in enumerate(index):
            p = rounded(self.E[i] * self.Rec[r], z + (fe + 3) - fe)
            errors.append(self.num.error.saturate(((1 << fe) if k == label else 0) - p))
        return errors

    def sample(self, W, x, label):
        """Both phases of one sample."""
        zero = {i: [0] * self.sizes[i] for i in self.hidden}
        s, slopes = {0: list(x), **zero}, {}
        states, steps = [], 0
        for _ in range(self.design.free_steps):
            old = {i: list(v) for i, v in s.items()}
            for i in self.hidden:
                read = s if self.sweep else old
                pairs = [self.activation(self.sum_free(W, read, i, r)) for r in range(self.sizes[i])]
                s[i], slopes[i] = [p[0] for p in pairs], [p[1] for p in pairs]
            steps += 1
            states.append([w for i in self.hidden for w in s[i]])
            if self.learning.stop and all(s[i] == old[i] for i in self.hidden):
                break
        logits = self.logits(W, s)
        e_free = self.error(logits, label)
        free = {i: list(v) for i, v in s.items()}
        d = {i: [0] * self.sizes[i] for i in self.hidden}
        nudged, errors, nudged_steps, saturated, e = [], [], 0, 0, e_free
        slope_frac = self.fs + 2 + self.step_log2
        for step in range(self.design.nudged_steps):
            if self.again and step:
                e = self.error(self.logits(W, free, d) if self.offsets else self.logits(W, s), label)
            errors.append(e)
            now = d if self.offsets else s
            old = {i: list(v) for i, v in now.items()}
            for i in reversed(self.hidden):
                read = now if self.sweep else old
                words = []
                for r in range(self.sizes[i]):
                    if self.offsets:
                        a = self.sum_offset(W, read, i, r) + self.sum_error(W, e, i, r)
                        word = rounded(slopes[i][r] * a, self.F + slope_frac - self.fd)
                        saturated += word != self.num.offset.saturate(word)
                        words.append(self.num.offset.saturate(word))
                    else:
                        h = self.sum_free(W, read, i, r) + self.sum_error(W, e, i, r)
                        words.append(self.activation(h)[0])
                now[i] = words
            nudged_steps += 1
            nudged.append([w for i in reversed(self.hidden) for w in now[i]])
            if self.learning.stop and all(now[i] == old[i] for i in self.hidden):
                break
        contrast = {
            i: d[i] if self.offsets else [a - b for a, b in zip(s[i], free[i], strict=True)] for i in self.hidden
        }
        return {
            "states": states, "free_steps": steps, "logits": logits, "prediction": logits.index(max(logits)),
            "errors": e_free, "nudged": nudged, "nudged_steps": nudged_steps, "nudged_errors": errors,
            "saturated": saturated, "contrast": contrast, "free": free,
        }  # fmt: skip

    def learn(self, W, inputs, labels, rate, key):
        """One batch; returns the samples' records, the new weights, saturated weights."""
        samples = [self.sample(W, x, label) for x, label in zip(inputs, labels, strict=True)]
        after, count, first = [], 0, 0
        for m, (target, source, learned) in enumerate(self.matrices):
            if not learned:
                after.append(W[m])
                continue
            transposed = target == self.output and self.sizes[target] < self.sizes[source]
            if target == self.output:
                frac = self.fe
            elif self.offsets:
                frac = self.fd + (0 if self.learning.gain else self.g[target])
            else:
                frac = self.fs - (self.g[target] if self.learning.gain else 0)
            shift = frac + self.fs - self.fw + log2_of(1 / self.learning.batch) + log2_of(rate)
            rows = []
            for i in range(self.sizes[target]):
                row = []
                for j in range(self.sizes[source]):
                    U = 0
                    for q in samples:
                        x = q["errors"] if target == self.output else q["contrast"][target]
                        U += x[i] * q["free"][source][j]
                    if self.num.rounding == "nearest":
                        change = rounded(U, shift)
                    else:
                        column, at = (i, j) if transposed else (j, i)
                        cut = shift - 16
                        U = U >> cut if cut >= 0 else U << -cut
                        change = (U + dither(key, first + column, at)) >> 16
                    word = W[m][i][j] + change
                    count += word != self.num.weight.saturate(word)
                    row.append(self.num.weight.saturate(word))
                rows.append(row)
            after.append(rows)
            first += self.sizes[target if transposed else source]
        return samples, after, count
