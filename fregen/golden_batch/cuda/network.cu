// The kernel: an interpreter of the program that one block of threads runs for its network.

// Let every network go through batches.
//
// program: instructions; numbers (networks, PARAMETERS); shifts (rows, networks) of products; updates (rows, networks):
// shifts of updates; weights (networks, weights of one); sums, words: room of one network times
// samples; tables of all networks; bits: dither constants.
// levels (samples of the set, inputs), level_words (networks, 256): input words; or, with level_words null, inputs
// (batches, networks, samples, inputs).
// order (batches, networks, samples): which samples; classes: of the whole set; or, with order null, of every batch.
// Results: predictions, steps (2), a number a sample; counts (networks, 3): saturated weights, saturated offsets,
// samples predicted right, to which is added.
KERNEL run(const int* program, const int64* numbers, const int* shifts, const int* updates, int* weights, int
           weights_each, int64* all_sums, int sums_each, int* all_words, int words_each, const int64* intercepts,
           const int64* slopes, const int64* exponentials, const int64* reciprocals, const uint32* bits, uint32*
           keys, const uint8* levels, const int* level_words, const int* inputs, const int* order, const int*
           classes, int batches, int samples, int networks, int* predictions, int* steps, int64* counts) {
    SHARED Scratch scratch;
    SHARED int labels[MOST_SAMPLES];
    SHARED int64 chosen[MOST_SAMPLES];
    Network net;
    net.numbers = numbers + (int64)NETWORK * PARAMETERS;
    net.weights = weights + (int64)NETWORK * weights_each;
    net.sums = all_sums + (int64)NETWORK * sums_each * samples;
    net.words = all_words + (int64)NETWORK * words_each * samples;
    net.samples = samples;
    net.scratch = &scratch;
    uint32 key = keys[NETWORK];
    int64 saturated_weights = 0, saturated_offsets = 0, right = 0;
    UNROLL(1) for (int batch = 0; batch < batches; ++batch) {
        int64 place = ((int64)batch * networks + NETWORK) * samples;
        UNROLL(1) for (int i = TID; i < samples; i += THREADS) {
            chosen[i] = order ? order[place + i] : place + i;
            labels[i] = classes[chosen[i]];
        }
        SYNC();
        bool learns = false;
        UNROLL(1) for (int at = 0; program[at * WIDTH] != END; ++at) {
            const int* op = program + at * WIDTH;
            switch (op[0]) {
                case GATHER: {
                    int* to = net.words + (int64)op[1] * samples;
                    int size = op[2];
                    if (level_words)
                        UNROLL(1) for (int i = TID; i < size; i += THREADS)
                            UNROLL(1) for (int from = 0; from < samples; from += SAMPLES) {
                                int word[SAMPLES];
                                UNROLL(16) for (int a = 0; a < SAMPLES; ++a)
                                    word[a] = from + a < samples ? levels[chosen[from + a] * size + i] : 0;
                                UNROLL(16) for (int a = 0; a < SAMPLES; ++a)
                                    word[a] = level_words[NETWORK * 256 + word[a]];
                                UNROLL(16) for (int a = 0; a < SAMPLES; ++a)
                                    if (from + a < samples) to[(from + a) * size + i] = word[a];
                            }
                    else
                        UNROLL(1) for (int i = TID; i < size * samples; i += THREADS) to[i] = inputs[place * size + i];
                    SYNC();
                    break;
                }
                case PRODUCT: product(net, op, shifts, networks); break;
                case CLEAR: {
                    UNROLL(1) for (int i = TID; i < op[2] * samples; i += THREADS)
                        net.sums[(int64)op[1] * samples + i] = 0;
                    SYNC();
                    break;
                }
                case ACTIVATE: activate(net, op, intercepts, slopes); break;
                case OFFSET: saturated_offsets += offset(net, op, slopes); break;
                case SOFTMAX: softmax(net, op, exponentials, reciprocals, labels, predictions + place); break;
                case PHASE: {
                    UNROLL(1) for (int i = TID; i < samples; i += THREADS)
                        scratch.running[i] = 1, scratch.changed[i] = 0, scratch.steps[op[1]][i] = 0;
                    if (op[2] >= 0)
                        UNROLL(1) for (int i = TID; i < op[3] * samples; i += THREADS)
                            net.words[(int64)op[2] * samples + i] = 0;
                    SYNC();
                    break;
                }
                case STEP: {
                    if (TID == 0) scratch.anyone = 0;
                    SYNC();
                    UNROLL(1) for (int i = TID; i < samples; i += THREADS) {
                        scratch.steps[op[1]][i] += scratch.running[i];
                        if (op[2] && !scratch.changed[i]) scratch.running[i] = 0;
                        scratch.changed[i] = 0;
                        if (scratch.running[i]) RAISE(&scratch.anyone);
                    }
                    SYNC();
                    if (!scratch.anyone) at = op[3] - 1;
                    SYNC();
                    break;
                }
                case SAVE: {
                    UNROLL(4) for (int i = TID; i < op[3] * samples; i += THREADS)
                        net.words[(int64)op[1] * samples + i] = net.words[(int64)op[2] * samples + i];
                    SYNC();
                    break;
                }
                case CONTRAST: {
                    UNROLL(1) for (int i = TID; i < op[4] * samples; i += THREADS)
                        net.words[(int64)op[1] * samples + i] =
                            net.words[(int64)op[2] * samples + i] - net.words[(int64)op[3] * samples + i];
                    SYNC();
                    break;
                }
                case UPDATE:
                    saturated_weights += update(net, op, updates, networks, bits, key);
                    learns = true;
                    break;
            }
        }
        UNROLL(1) for (int i = TID; i < samples; i += THREADS) {
            right += predictions[place + i] == labels[i];
            if (!steps) continue;
            steps[2 * (place + i)] = scratch.steps[0][i];
            steps[2 * (place + i) + 1] = learns ? scratch.steps[1][i] : 0;
        }
        if (learns) key = next_key(key);
        SYNC();
    }
    if (TID == 0) keys[NETWORK] = key;
    if (saturated_weights) ADD(&counts[3 * NETWORK], saturated_weights);
    if (saturated_offsets) ADD(&counts[3 * NETWORK + 1], saturated_offsets);
    if (right) ADD(&counts[3 * NETWORK + 2], right);
}
