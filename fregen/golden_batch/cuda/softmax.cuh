// Predictions and error words (docs/numerics.md, "Softmax and error").

DEVICE void softmax(const Network& net, const int* op, const int64* exponentials, const int64* reciprocals,
                    const int* labels, int* predictions) {
    const int64* p = net.numbers;
    const int64* sums = net.sums + (int64)op[1] * net.samples;
    int* errors = net.words + (int64)op[2] * net.samples;
    int classes = op[3];
    Scratch& s = *net.scratch;
    UNROLL(1) for (int sample = TID; sample < net.samples; sample += THREADS) {
        const int64* row = sums + sample * classes;
        int greatest = 0;
        UNROLL(1) for (int k = 1; k < classes; ++k)
            if (row[k] > row[greatest]) greatest = k;
        s.greatest[sample] = row[greatest];
        if (op[4]) predictions[sample] = greatest;
    }
    SYNC();
    if (op[2] < 0) return;
    UNROLL(1) for (int i = TID; i < classes * net.samples; i += THREADS) {
        int64 below = (s.greatest[i / classes] - sums[i]) << p[INDEX_LEFT];
        int64 index = (below + ((1LL << p[INDEX_RIGHT]) >> 1)) >> p[INDEX_RIGHT];
        if (index > p[INDEX_LAST]) index = p[INDEX_LAST];
        errors[i] = (int)exponentials[p[FIRST_EXPONENTIAL] + index];
    }
    SYNC();
    UNROLL(1) for (int sample = TID; sample < net.samples; sample += THREADS) {
        int64 total = 0, leading = 0;
        UNROLL(1) for (int k = 0; k < classes; ++k) total += errors[sample * classes + k];
        while (total >> (leading + 1)) ++leading;
        int64 rest = ((total << p[REST_BITS]) >> leading) & ((1LL << p[REST_BITS]) - 1);
        s.greatest[sample] = reciprocals[p[FIRST_RECIPROCAL] + rest];
        s.scale[sample] = leading + p[DROP];
    }
    SYNC();
    UNROLL(1) for (int i = TID; i < classes * net.samples; i += THREADS) {
        int sample = i / classes;
        int64 probability = nearest(errors[i] * s.greatest[sample], (int)s.scale[sample]);
        int64 wanted = labels[sample] == i % classes ? p[ONE] : 0;
        errors[i] = (int)limited(wanted - probability, p[ERROR_LOW], p[ERROR_HIGH]);
    }
    SYNC();
}
