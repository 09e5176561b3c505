// What a neuron makes of its sum (docs/numerics.md, "Activation (and its slope)" and "Phases").
//
// A thread takes four neurons at a time: it asks memory for all of them before it waits for the first.

enum { ABREAST = 4 };

DEVICE void activate(const Network& net, const int* op, const int64* intercepts, const int64* slopes) {
    const int64* p = net.numbers;
    const int64* sums = net.sums + (int64)op[1] * net.samples;
    int* states = net.words + (int64)op[2] * net.samples;
    int* entries = net.words + (int64)op[3] * net.samples;
    int size = op[4], tau = (int)p[TAU], shift = (int)p[STATE_SHIFT], cut = (int)p[STATE_CUT];
    int most = (int)p[STATE_MOST], segments = (int)p[SEGMENTS], first = (int)p[FIRST_ENTRY], count = size * net.samples;
    bool rectifies = p[RECTIFIES];
    UNROLL(1) for (int start = TID; start < count; start += ABREAST * THREADS) {
        int64 sum[ABREAST], factor[ABREAST], high[ABREAST];
        int before[ABREAST], entry[ABREAST];
        UNROLL(4) for (int k = 0; k < ABREAST; ++k) {
            int i = start + k * THREADS;
            sum[k] = i < count ? sums[i] : 0, before[k] = i < count ? states[i] : 0;
        }
        UNROLL(4) for (int k = 0; k < ABREAST; ++k) {
            int64 segment = (sum[k] < 0 ? -sum[k] : sum[k]) >> tau;
            entry[k] = first + (rectifies && sum[k] < 0 ? segments + 1 : segment > segments ? segments : (int)segment);
            factor[k] = slopes[entry[k]], high[k] = intercepts[entry[k]];
        }
        UNROLL(4) for (int k = 0; k < ABREAST; ++k) {
            int i = start + k * THREADS;
            int64 word = scaled(factor[k], sum[k] < 0 ? -sum[k] : sum[k], high[k], shift, cut);
            if (sum[k] < 0) word = -word;
            if (word > most) word = most;
            if (i >= count) continue;
            if (before[k] != (int)word) RAISE(&net.scratch->changed[i / size]);
            states[i] = (int)word;
            if (op[3] >= 0) entries[i] = entry[k];
        }
    }
    SYNC();
}

DEVICE int64 offset(const Network& net, const int* op, const int64* slopes) {
    const int64* p = net.numbers;
    const int64* sums = net.sums + (int64)op[1] * net.samples;
    int* offsets = net.words + (int64)op[2] * net.samples;
    const int* entries = net.words + (int64)op[3] * net.samples;
    int size = op[4], shift = (int)p[OFFSET_SHIFT], cut = (int)p[OFFSET_CUT], count = size * net.samples;
    int64 saturated = 0, low = p[OFFSET_LOW], high = p[OFFSET_HIGH];
    UNROLL(1) for (int start = TID; start < count; start += ABREAST * THREADS) {
        int64 sum[ABREAST], factor[ABREAST];
        int before[ABREAST], entry[ABREAST];
        UNROLL(4) for (int k = 0; k < ABREAST; ++k) {
            int i = start + k * THREADS;
            sum[k] = i < count ? sums[i] : 0, before[k] = i < count ? offsets[i] : 0, entry[k] = i < count ? entries[i] : -1;
        }
        UNROLL(4) for (int k = 0; k < ABREAST; ++k) factor[k] = entry[k] < 0 ? 0 : slopes[entry[k]];
        UNROLL(4) for (int k = 0; k < ABREAST; ++k) {
            int i = start + k * THREADS;
            int64 word = scaled(factor[k], sum[k], 0, shift, cut), kept = limited(word, low, high);
            if (i >= count) continue;
            saturated += kept != word && net.scratch->running[i / size];
            if (before[k] != (int)kept) RAISE(&net.scratch->changed[i / size]);
            offsets[i] = (int)kept;
        }
    }
    SYNC();
    return saturated;
}
