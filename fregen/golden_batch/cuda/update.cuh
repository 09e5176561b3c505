// Weights after a batch (docs/numerics.md, "Update" and "Dither").

DEVICE uint32 mixed(uint32 word) {
    word += word << 10, word ^= word >> 6, word += word << 3, word ^= word >> 11, word += word << 15;
    return word;
}

DEVICE uint32 next_key(uint32 key) {
    key ^= key << 13, key ^= key >> 17, key ^= key << 5;
    return key;
}

struct Matrix {
    int* weights;
    int sources, targets, first_source, first_target, columns_are_sources, shift, low, high;
    const int *states, *deltas;
};

// Weights of all sources to 64 targets.  A thread has every eighth source and two targets; what it will need next it
// fetches one tile of 64 sources ahead.  Two ways of rounding, and batches of at most 16 samples or more, are four
// functions: inside, no thread has anything to decide.
template <bool BY_CHANCE_, bool MANY_SAMPLES>
DEVICE int64 update_columns(const Network& net, const Matrix& m, const uint32* bits, uint32 key, int column) {
    const int LIMIT = 1 << 30;
    const double power = SCALE(1.0, -m.shift);
    Scratch& s = *net.scratch;
    int64 saturated = 0;
    double delta[EACH][2][SAMPLES];
    uint32 own[EACH][2];
    int ahead[EACH][GROUPS][2], fetched[EACH][STAGED];
    for (int j = 0; j < EACH; ++j) {
        int item = TID + j * THREADS, target = column + item % 32;
        fetch_rows(net, m.states, m.sources, 0, 0, item, fetched[j]);
        UNROLL(2) for (int h = 0; h < 2; ++h) {
            bool has = target + 32 * h < m.targets;
            UNROLL(16) for (int a = 0; a < SAMPLES; ++a)
                delta[j][h][a] = a < net.samples && has ? m.deltas[a * m.targets + target + 32 * h] * power : 0.0;
            own[j][h] = BY_CHANCE_ && has ? bits[m.first_target + target + 32 * h] : 0;
            if (BY_CHANCE_ && !m.columns_are_sources) own[j][h] = mixed(own[j][h] ^ key);
            const int* at = m.weights + item / 32 * m.targets + target + 32 * h;
            UNROLL(8) for (int i = 0; i < GROUPS; ++i, at += WARPS * m.targets)
                ahead[j][i][h] = item / 32 + i * WARPS < m.sources && has ? at[0] : 0;
        }
    }
    UNROLL(1) for (int first = 0; first < m.sources; first += DEPTH) {
        SYNC();
        for (int j = 0; j < EACH; ++j) stage_rows(s, TID + j * THREADS, fetched[j]);
        if (BY_CHANCE_)
            UNROLL(1) for (int k = TID; k < DEPTH && first + k < m.sources; k += THREADS) {
                uint32 word = bits[m.first_source + first + k];
                s.bits[k] = m.columns_are_sources ? mixed(word ^ key) : word;
            }
        SYNC();
        for (int j = 0; j < EACH; ++j) {
            int item = TID + j * THREADS, target = column + item % 32;
            int* place = m.weights + (int64)(first + item / 32) * m.targets + target;
            bool has[2] = {target < m.targets, target + 32 < m.targets};
            int here = m.sources - first, left = here - DEPTH, further = DEPTH * m.targets;
            fetch_rows(net, m.states, m.sources, first + DEPTH, 0, item, fetched[j]);
            UNROLL(8) for (int i = 0; i < GROUPS; ++i, place += WARPS * m.targets) {
                int k = item / 32 + i * WARPS;
                const double* x = &s.u.in.rows[k * PITCH];
                double sum[2] = {0.0, 0.0}, other[2] = {0.0, 0.0};
                UNROLL(8) for (int a = 0; a < SAMPLES; a += 2)
                    UNROLL(2) for (int h = 0; h < 2; ++h) {
                        sum[h] += x[a] * delta[j][h][a];
                        other[h] += x[a + 1] * delta[j][h][a + 1];
                    }
                UNROLL(2) for (int h = 0; h < 2; ++h) {
                    int before = ahead[j][i][h];
                    ahead[j][i][h] = k < left && has[h] ? place[further + 32 * h] : 0;
                    double all = sum[h] + other[h];
                    if (MANY_SAMPLES && k < here && has[h])
                        UNROLL(1) for (int a = SAMPLES; a < net.samples; ++a)
                            all += m.deltas[a * m.targets + target + 32 * h] * power *
                                   m.states[a * m.sources + first + k];
                    int change;  // what is beyond the limit saturates in any case
                    if (BY_CHANCE_) {
                        uint32 word = s.bits[k] ^ own[j][h];
                        all = fmin(fmax(all, -(double)LIMIT), (double)LIMIT);
                        change = (int)((FLOOR(all * 65536.0) + ((word + (word >> 16)) & 0xFFFF)) >> 16);
                    } else {
                        change = TO_INT(all);
                        change = change < -LIMIT ? -LIMIT : change > LIMIT ? LIMIT : change;
                    }
                    int after = before + change, kept = after < m.low ? m.low : after > m.high ? m.high : after;
                    if (k < here && has[h]) {
                        saturated += kept != after;
                        place[32 * h] = kept;
                    }
                }
            }
        }
    }
    return saturated;
}

DEVICE int64 update(const Network& net, const int* op, const int* shifts, int networks, const uint32* bits,
                    uint32 key) {
    const int64* p = net.numbers;
    Matrix m = {net.weights + op[1], op[2], op[3], op[7], op[8], op[9], shifts[op[6] * networks + NETWORK],
                (int)p[WEIGHT_LOW], (int)p[WEIGHT_HIGH], net.words + (int64)op[4] * net.samples,
                net.words + (int64)op[5] * net.samples};
    bool by_chance = p[BY_CHANCE], many = net.samples > SAMPLES;
    int64 saturated = 0;
    UNROLL(1) for (int column = 0; column < m.targets; column += TARGETS)
        saturated += by_chance ? many ? update_columns<true, true>(net, m, bits, key, column)
                                      : update_columns<true, false>(net, m, bits, key, column)
                     : many    ? update_columns<false, true>(net, m, bits, key, column)
                               : update_columns<false, false>(net, m, bits, key, column);
    SYNC();
    return saturated;
}
