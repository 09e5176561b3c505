// What a neuron makes of its sum (docs/numerics.md, "Activation (and its slope)" and "Phases").

DEVICE void activate(const Network& net, const int* op, const int64* intercepts, const int64* slopes) {
    const int64* p = net.numbers;
    const int64* sums = net.sums + (int64)op[1] * net.samples;
    int* states = net.words + (int64)op[2] * net.samples;
    int* entries = net.words + (int64)op[3] * net.samples;
    int size = op[4], tau = (int)p[TAU], shift = (int)p[STATE_SHIFT], cut = (int)p[STATE_CUT];
    int most = (int)p[STATE_MOST];
    int64 segments = p[SEGMENTS], first = p[FIRST_ENTRY];
    bool rectifies = p[RECTIFIES];
    UNROLL(4) for (int i = TID; i < size * net.samples; i += THREADS) {
        int64 sum = sums[i], magnitude = sum < 0 ? -sum : sum, entry = magnitude >> tau;
        if (entry > segments) entry = segments;
        if (rectifies && sum < 0) entry = segments + 1;
        entry += first;
        int64 word = scaled(slopes[entry], magnitude, intercepts[entry], shift, cut);
        if (sum < 0) word = -word;
        if (word > most) word = most;
        if (states[i] != (int)word) RAISE(&net.scratch->changed[i / size]);
        states[i] = (int)word;
        if (op[3] >= 0) entries[i] = (int)entry;
    }
    SYNC();
}

DEVICE int64 offset(const Network& net, const int* op, const int64* slopes) {
    const int64* p = net.numbers;
    const int64* sums = net.sums + (int64)op[1] * net.samples;
    int* offsets = net.words + (int64)op[2] * net.samples;
    const int* entries = net.words + (int64)op[3] * net.samples;
    int size = op[4], shift = (int)p[OFFSET_SHIFT], cut = (int)p[OFFSET_CUT];
    int64 saturated = 0, low = p[OFFSET_LOW], high = p[OFFSET_HIGH];
    UNROLL(4) for (int i = TID; i < size * net.samples; i += THREADS) {
        int64 word = scaled(slopes[entries[i]], sums[i], 0, shift, cut), kept = limited(word, low, high);
        saturated += kept != word && net.scratch->running[i / size];
        if (offsets[i] != (int)kept) RAISE(&net.scratch->changed[i / size]);
        offsets[i] = (int)kept;
    }
    SYNC();
    return saturated;
}
