// Sums of products of words with a matrix, in tiles of 64 neurons x 16 samples (docs/numerics.md, "Sums").

// Words of rows first..first + 64 of samples from..from + 16; what is beyond is 0.  They are fetched one tile ahead, so
// that no thread waits for memory while there is something to multiply.
DEVICE void fetch_rows(const Network& net, const int* words, int size, int first, int from, int thread, int* fetched) {
    UNROLL(4) for (int i = 0; i < STAGED; ++i) {
        int place = thread + i * ITEMS, sample = from + place / DEPTH, row = first + place % DEPTH;
        fetched[i] = row < size && sample < net.samples ? words[sample * size + row] : 0;
    }
}

DEVICE void stage_rows(Scratch& s, int thread, const int* fetched) {
    UNROLL(4) for (int i = 0; i < STAGED; ++i) {
        int place = thread + i * ITEMS;
        s.u.in.rows[place % DEPTH * PITCH + place / DEPTH] = fetched[i];
    }
}

DEVICE void multiply(double total[2][8], double one, double two, const double* words) {
    UNROLL(8) for (int a = 0; a < 8; ++a) {
        total[0][a] += one * words[a];
        total[1][a] += two * words[a];
    }
}

// Weights of rows first + part + 4 i of 64 columns, two a thread and row; what is beyond is 0.
DEVICE void fetch_straight(const int* weights, int length, int first, int depth, int column, int thread,
                           int ahead[AHEAD][2]) {
    int lane = thread % 32, part = thread / 64, left = depth - first - part, stride = PARTS * length;
    const int* at = weights + (int64)(first + part) * length + column + lane;
    bool has_first = column + lane < length, has_second = column + lane + 32 < length;
    UNROLL(16) for (int i = 0; i < AHEAD; ++i, at += stride) {
        ahead[i][0] = has_first && i * PARTS < left ? at[0] : 0;
        ahead[i][1] = has_second && i * PARTS < left ? at[32] : 0;
    }
}

// Weights of the same tile of a matrix that is read transposed: its rows are columns here; 16 a thread.
DEVICE void fetch_transposed(const int* weights, int length, int first, int depth, int column, int columns, int thread,
                             int ahead[AHEAD][2]) {
    int row = first + thread % DEPTH, target = column + thread / DEPTH, stride = ITEMS / DEPTH * length;
    const int* at = weights + (int64)target * length + row;
    UNROLL(16) for (int i = 0; i < AHEAD; ++i, at += stride)
        ahead[i / 2][i % 2] = row < depth && target + i * (ITEMS / DEPTH) < columns ? at[0] : 0;
}

DEVICE void product(const Network& net, const int* op, const int* shifts, int networks) {
    int64* sums = net.sums + (int64)op[1] * net.samples;
    const int* words = net.words + (int64)op[2] * net.samples;
    int depth = op[3], columns = op[4], length = op[6];
    const int64* plus = op[9] < 0 ? nullptr : net.sums + (int64)op[9] * net.samples;
    bool transposed = op[7];
    const int* weights = net.weights + op[5];
    int shift = shifts[op[8] * networks + NETWORK];
    Scratch& s = *net.scratch;
    UNROLL(1) for (int from = 0; from < net.samples; from += SAMPLES)
        UNROLL(1) for (int column = 0; column < columns; column += TARGETS) {
            double total[EACH][2][8];
            int ahead[EACH][AHEAD][2], fetched[EACH][STAGED];
            for (int j = 0; j < EACH; ++j) {
                int item = TID + j * THREADS;
                UNROLL(8) for (int a = 0; a < 8; ++a) total[j][0][a] = total[j][1][a] = 0.0;
                fetch_rows(net, words, depth, 0, from, item, fetched[j]);
                if (transposed)
                    fetch_transposed(weights, length, 0, depth, column, columns, item, ahead[j]);
                else
                    fetch_straight(weights, length, 0, depth, column, item, ahead[j]);
            }
            UNROLL(1) for (int first = 0; first < depth; first += DEPTH) {
                int next = first + DEPTH;
                SYNC();
                for (int j = 0; j < EACH; ++j) {
                    int item = TID + j * THREADS;
                    stage_rows(s, item, fetched[j]);
                    if (!transposed) continue;
                    UNROLL(16) for (int i = 0; i < AHEAD; ++i) {
                        int place = item + i * ITEMS;
                        s.u.in.tile[place % DEPTH * TILE_PITCH + place / DEPTH] = ahead[j][i / 2][i % 2];
                    }
                }
                SYNC();
                for (int j = 0; j < EACH; ++j) {
                    int item = TID + j * THREADS, lane = item % 32, half = item / 32 % 2, part = item / 64;
                    const double* x = &s.u.in.rows[part * PITCH + half * 8];
                    fetch_rows(net, words, depth, next, from, item, fetched[j]);
                    if (transposed) {
                        const int* tile = &s.u.in.tile[part * TILE_PITCH + lane];
                        fetch_transposed(weights, length, next, depth, column, columns, item, ahead[j]);
                        UNROLL(4) for (int i = 0; i < AHEAD; ++i)
                            multiply(total[j], tile[i * PARTS * TILE_PITCH], tile[i * PARTS * TILE_PITCH + 32],
                                     x + i * PARTS * PITCH);
                    } else {
                        int left = depth - next - part, stride = PARTS * length;
                        const int* at = weights + (int64)(next + part) * length + column + lane;
                        bool has_first = column + lane < length, has_second = column + lane + 32 < length;
                        UNROLL(16) for (int i = 0; i < AHEAD; ++i, at += stride) {
                            int one = ahead[j][i][0], two = ahead[j][i][1];
                            ahead[j][i][0] = has_first && i * PARTS < left ? at[0] : 0;
                            ahead[j][i][1] = has_second && i * PARTS < left ? at[32] : 0;
                            multiply(total[j], one, two, x + i * PARTS * PITCH);
                        }
                    }
                }
            }
            SYNC();
            for (int j = 0; j < EACH; ++j) {
                int item = TID + j * THREADS, lane = item % 32, half = item / 32 % 2, part = item / 64;
                UNROLL(8) for (int a = 0; a < 8; ++a) {
                    double* place = &s.u.parts[(part * SAMPLES + half * 8 + a) * TARGETS + lane];
                    place[0] = total[j][0][a], place[32] = total[j][1][a];
                }
            }
            SYNC();
            UNROLL(4) for (int i = TID; i < SAMPLES * TARGETS; i += THREADS) {
                int sample = from + i / TARGETS, target = column + i % TARGETS;
                if (sample >= net.samples || target >= columns) continue;
                double sum = 0.0;
                UNROLL(4) for (int part = 0; part < PARTS; ++part) sum += s.u.parts[part * SAMPLES * TARGETS + i];
                int place = sample * columns + target;
                sums[place] = ((int64)sum << shift) + (plus ? plus[place] : 0);
            }
        }
    SYNC();
}
