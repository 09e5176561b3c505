// Weights after a batch (docs/numerics.md, "Update" and "Dither").

DEVICE uint32 mixed(uint32 word) {
    word += word << 10, word ^= word >> 6, word += word << 3, word ^= word >> 11, word += word << 15;
    return word;
}

DEVICE uint32 next_key(uint32 key) {
    key ^= key << 13, key ^= key >> 17, key ^= key << 5;
    return key;
}

DEVICE int64 update(const Network& net, const int* op, const int* shifts, int networks, const uint32* bits,
                    uint32 key) {
    const int64* p = net.numbers;
    int sources = op[2], targets = op[3], columns_are_sources = op[9], by_chance = (int)p[BY_CHANCE];
    int* weights = net.weights + op[1];
    const int* states = net.words + (int64)op[4] * net.samples;
    const int* deltas = net.words + (int64)op[5] * net.samples;
    int shift = shifts[2 * (op[6] * networks + NETWORK)], limits = shifts[2 * (op[6] * networks + NETWORK) + 1];
    const double LIMIT = 1073741824.0;
    int low = (int)p[WEIGHT_LOW], high = (int)p[WEIGHT_HIGH];
    Scratch& s = *net.scratch;
    int64 saturated = 0;
    double power = SCALE(1.0, -shift);
    UNROLL(1) for (int column = 0; column < targets; column += TARGETS) {
        double delta[EACH][2][SAMPLES];
        uint32 own[EACH][2];
        for (int j = 0; j < EACH; ++j)
            UNROLL(2) for (int h = 0; h < 2; ++h) {
                int target = column + (TID + j * THREADS) % 32 + 32 * h;
                UNROLL(16) for (int a = 0; a < SAMPLES; ++a)
                    delta[j][h][a] = a < net.samples && target < targets ? deltas[a * targets + target] * power : 0.0;
                own[j][h] = by_chance && target < targets ? bits[op[8] + target] : 0;
                if (!columns_are_sources) own[j][h] = mixed(own[j][h] ^ key);
            }
        int ahead[EACH][GROUPS][2], fetched[EACH][STAGED];
        for (int j = 0; j < EACH; ++j) {
            int item = TID + j * THREADS;
            fetch_rows(net, states, sources, 0, 0, item, fetched[j]);
            const int* at = weights + item / 32 * targets + column + item % 32;
            UNROLL(8) for (int i = 0; i < GROUPS; ++i, at += WARPS * targets)
                UNROLL(2) for (int h = 0; h < 2; ++h)
                    ahead[j][i][h] =
                        item / 32 + i * WARPS < sources && column + item % 32 + 32 * h < targets ? at[32 * h] : 0;
        }
        UNROLL(1) for (int first = 0; first < sources; first += DEPTH) {
            int many = sources - first < DEPTH ? sources - first : DEPTH;
            SYNC();
            for (int j = 0; j < EACH; ++j) stage_rows(s, TID + j * THREADS, fetched[j]);
            if (by_chance)
                UNROLL(1) for (int k = TID; k < many; k += THREADS) {
                    uint32 word = bits[op[7] + first + k];
                    s.bits[k] = columns_are_sources ? mixed(word ^ key) : word;
                }
            SYNC();
            for (int j = 0; j < EACH; ++j) {
                int item = TID + j * THREADS, target = column + item % 32;
                int* place = weights + (int64)(first + item / 32) * targets + target;
                bool has[2] = {target < targets, target + 32 < targets};
                int left = sources - first - DEPTH, further = DEPTH * targets;
                fetch_rows(net, states, sources, first + DEPTH, 0, item, fetched[j]);
                UNROLL(8) for (int i = 0; i < GROUPS; ++i, place += WARPS * targets) {
                    int k = item / 32 + i * WARPS, before[2] = {ahead[j][i][0], ahead[j][i][1]};
                    UNROLL(2) for (int h = 0; h < 2; ++h)
                        ahead[j][i][h] = k < left && has[h] ? place[further + 32 * h] : 0;
                    if (k >= many) continue;
                    const double* x = &s.u.in.rows[k * PITCH];
                    double sum[2] = {0.0, 0.0};
                    UNROLL(16) for (int a = 0; a < SAMPLES; ++a) {
                        sum[0] += x[a] * delta[j][0][a];
                        sum[1] += x[a] * delta[j][1][a];
                    }
                    UNROLL(1) for (int a = SAMPLES; a < net.samples; ++a) {
                        const int* more = deltas + a * targets + target;
                        double word = states[a * sources + first + k] * SCALE(1.0, -shift);
                        if (has[0]) sum[0] += more[0] * word;
                        if (has[1]) sum[1] += more[32] * word;
                    }
                    UNROLL(2) for (int h = 0; h < 2; ++h) {
                        if (!has[h]) continue;
                        // What is clamped saturates in any case.
                        if (limits) sum[h] = sum[h] < -LIMIT ? -LIMIT : sum[h] > LIMIT ? LIMIT : sum[h];
                        int change;
                        if (by_chance) {
                            uint32 word = s.bits[k] ^ own[j][h];
                            change = (int)((FLOOR(sum[h] * 65536.0) + ((word + (word >> 16)) & 0xFFFF)) >> 16);
                        } else {
                            change = TO_INT(sum[h]);
                        }
                        int after = before[h] + change, kept = after < low ? low : after > high ? high : after;
                        saturated += kept != after;
                        place[32 * h] = kept;
                    }
                }
            }
        }
    }
    SYNC();
    return saturated;
}
