// A batch of samples of one network, by one block of threads: the words of docs/numerics.md, in the order of a program
// that fregen/golden_batch/program.py writes.  Every block has its own network, so nothing but the threads of a block
// ever waits for another.
//
// Compiled by NVRTC for a GPU; as plain C++ with THREADS threads for tests.  Sums of products are made in double, in
// which every integer below 2^53 is exact; all else in integers.

#ifdef __CUDACC__
typedef long long int64;
typedef unsigned int uint32;
typedef unsigned char uint8;
#define THREADS 256
#define DEVICE __device__ __forceinline__
#define KERNEL extern "C" __global__ void __launch_bounds__(THREADS, 2)
#define SHARED __shared__
#define TID ((int)threadIdx.x)
#define NETWORK ((int)blockIdx.x)
#define SYNC() __syncthreads()
#define ADD(place, count) atomicAdd((unsigned long long*)(place), (unsigned long long)(count))
#define RAISE(place) (*(volatile int*)(place) = 1)
#define PREFETCH(place) asm volatile("prefetch.global.L2 [%0];" ::"l"(place))
#define TO_INT(x) __double2int_rn(x)
#define FLOOR(x) __double2ll_rd(x)
#define SCALE(x, bits) scalbn(x, bits)
#define TEXT(x) #x
#define UNROLL(count) _Pragma(TEXT(unroll count))
#else
#include "on_a_cpu.h"
#define DEVICE static inline
#define UNROLL(count)
#endif

enum Kind { END, GATHER, PRODUCT, COPY, ACTIVATE, OFFSET, SOFTMAX, PHASE, STEP, SAVE, CONTRAST, UPDATE };
// What an instruction holds, 12 numbers: its kind, then, in this order (64: a place among sums, 32: among words)
//   GATHER    to32, size
//   PRODUCT   to64, from32, rows summed over, columns, first weight, row length, transposed, row of shifts, adds
//   COPY      to64, from64 (-1: zeros), size
//   ACTIVATE  from64, to32, entries32 (-1: not kept), size
//   OFFSET    from64, to32, entries32, size
//   SOFTMAX   from64, to32 (-1: predictions only), classes, whether predictions are kept
//   PHASE     number, first word to clear (-1: none), words a sample to clear
//   STEP      number of the phase, whether a sample at rest stops, instruction after the phase
//   SAVE      to32, from32, size
//   CONTRAST  to32, after32, before32, size
//   UPDATE    first weight, sources, targets, sources32, deltas32, row of shifts, first source bits, first target bits,
//             whether columns are sources
enum { WIDTH = 12 };

enum Parameter {
    TAU, FIRST_ENTRY, SEGMENTS, RECTIFIES, STATE_CUT, STATE_SHIFT, STATE_MOST,
    OFFSET_CUT, OFFSET_SHIFT, OFFSET_LOW, OFFSET_HIGH,
    INDEX_RIGHT, INDEX_LEFT, INDEX_LAST, FIRST_EXPONENTIAL, REST_BITS, FIRST_RECIPROCAL, DROP, ONE, ERROR_LOW, ERROR_HIGH,
    WEIGHT_LOW, WEIGHT_HIGH, BY_CHANCE, PARAMETERS
};

enum { TARGETS = 64, SAMPLES = 16, DEPTH = 128, PITCH = SAMPLES + 2, PARTS = 4, ITEMS = 256, EACH = ITEMS / THREADS };
// A tile of sums: 64 neurons x 16 samples; sums over at most 128 rows at a time, in 4 parts.
enum { TILE_DEPTH = 64, TILE_PITCH = TARGETS + 1, MOST_SAMPLES = 64 };

struct Scratch {
    union {
        struct {
            double rows[DEPTH * PITCH];         // words of the source, row after row of all samples
            int tile[TILE_DEPTH * TILE_PITCH];  // weights that are read transposed
        } in;
        double parts[PARTS * SAMPLES * TARGETS];
    } u;
    uint32 bits[DEPTH];
    int64 greatest[MOST_SAMPLES], scale[MOST_SAMPLES];
    int running[MOST_SAMPLES], changed[MOST_SAMPLES], steps[2][MOST_SAMPLES];
    int anyone;
};

struct Network {
    const int64* numbers;  // of enum Parameter
    int* weights;
    int64* sums;
    int* words;
    int samples;
    Scratch* scratch;
};

DEVICE int64 nearest(int64 word, int shift) {
    if (!shift) return word;
    return (word + ((1LL << shift) >> 1) - 1 + ((word >> shift) & 1)) >> shift;
}

// high + factor * word, rounded; low `cut` bits of the word enter rounding as one sticky bit.
DEVICE int64 scaled(int64 factor, int64 word, int64 high, int shift, int cut) {
    if (!cut) return nearest(high + factor * word, shift);
    int64 mask = (1LL << cut) - 1, low = factor * (word & mask);
    int64 kept = high + factor * (word >> cut) + (low >> cut);
    return nearest((kept << 1) | ((low & mask) != 0), shift);
}

DEVICE int64 limited(int64 word, int64 low, int64 high) { return word < low ? low : word > high ? high : word; }

// Bring the next rows of a tile of weights nearer while this thread works on others.
DEVICE void prefetch(const int* weights, int length, int column, int first, int rows) {
    for (int i = TID; i < 2 * DEPTH; i += THREADS) {
        int row = first + i / 2, at = column + i % 2 * 32;
        if (row < rows && at < length) PREFETCH(weights + (int64)row * length + at);
    }
}

DEVICE void multiply(double total[2][8], double one, double two, const double* words) {
    UNROLL(8) for (int a = 0; a < 8; ++a) {
        total[0][a] += one * words[a];
        total[1][a] += two * words[a];
    }
}

// Words of rows first..first + depth, of samples from..from + 16, as doubles; samples beyond the last are 0.
DEVICE void stage_rows(const Network& net, const int* words, int size, int first, int depth, int from) {
    for (int i = TID; i < SAMPLES * DEPTH; i += THREADS) {
        int sample = i / DEPTH, row = i % DEPTH;
        if (row >= depth) continue;
        bool is_there = from + sample < net.samples;
        net.scratch->u.in.rows[row * PITCH + sample] =
            is_there ? (double)words[(from + sample) * size + first + row] : 0.0;
    }
}

DEVICE void product(const Network& net, const int* op, const int* shifts, int networks) {
    int64* sums = net.sums + (int64)op[1] * net.samples;
    const int* words = net.words + (int64)op[2] * net.samples;
    int depth = op[3], columns = op[4], length = op[6], transposed = op[7], adds = op[9];
    const int* weights = net.weights + op[5];
    int shift = shifts[op[8] * networks + NETWORK];
    Scratch& s = *net.scratch;
    int chunk = transposed ? (int)TILE_DEPTH : (int)DEPTH;
    for (int from = 0; from < net.samples; from += SAMPLES)
        for (int column = 0; column < columns; column += TARGETS) {
            double total[EACH][2][8];
            for (int j = 0; j < EACH; ++j)
                UNROLL(8) for (int a = 0; a < 8; ++a) total[j][0][a] = total[j][1][a] = 0.0;
            for (int first = 0; first < depth; first += chunk) {
                int many = depth - first < chunk ? depth - first : chunk;
                SYNC();
                if (!transposed) prefetch(weights, length, column, first + DEPTH, depth);
                stage_rows(net, words, depth, first, many, from);
                if (transposed)
                    for (int i = TID; i < TARGETS * TILE_DEPTH; i += THREADS) {
                        int target = i / TILE_DEPTH, row = i % TILE_DEPTH;
                        bool is_there = row < many && column + target < columns;
                        s.u.in.tile[row * TILE_PITCH + target] =
                            is_there ? weights[(int64)(column + target) * length + first + row] : 0;
                    }
                SYNC();
                for (int j = 0; j < EACH; ++j) {
                    int item = TID + j * THREADS, lane = item % 32, half = item / 32 % 2, part = item / 64;
                    bool has_first = column + lane < columns, has_second = column + lane + 32 < columns;
                    const int* row = weights + (int64)(first + part) * length + column + lane;
                    const double* x = &s.u.in.rows[half * 8];
                    if (transposed) {
                        const int* tile = &s.u.in.tile[lane];
                        UNROLL(4) for (int k = part; k < many; k += PARTS)
                            multiply(total[j], tile[k * TILE_PITCH], tile[k * TILE_PITCH + 32], x + k * PITCH);
                    } else {
                        UNROLL(4) for (int k = part; k < many; k += PARTS, row += PARTS * length)
                            multiply(total[j], has_first ? row[0] : 0, has_second ? row[32] : 0, x + k * PITCH);
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
            for (int i = TID; i < SAMPLES * TARGETS; i += THREADS) {
                int sample = from + i / TARGETS, target = column + i % TARGETS;
                if (sample >= net.samples || target >= columns) continue;
                double sum = 0.0;
                for (int part = 0; part < PARTS; ++part) sum += s.u.parts[part * SAMPLES * TARGETS + i];
                int64 aligned = (int64)sum << shift, *place = &sums[sample * columns + target];
                *place = adds ? *place + aligned : aligned;
            }
        }
    SYNC();
}

DEVICE void activate(const Network& net, const int* op, const int64* intercepts, const int64* slopes) {
    const int64* p = net.numbers;
    const int64* sums = net.sums + (int64)op[1] * net.samples;
    int* states = net.words + (int64)op[2] * net.samples;
    int* entries = net.words + (int64)op[3] * net.samples;
    int size = op[4];
    for (int i = TID; i < size * net.samples; i += THREADS) {
        int64 sum = sums[i], magnitude = sum < 0 ? -sum : sum, entry = magnitude >> p[TAU];
        if (entry > p[SEGMENTS]) entry = p[SEGMENTS];
        if (p[RECTIFIES] && sum < 0) entry = p[SEGMENTS] + 1;
        entry += p[FIRST_ENTRY];
        int64 word = scaled(slopes[entry], magnitude, intercepts[entry], (int)p[STATE_SHIFT], (int)p[STATE_CUT]);
        if (sum < 0) word = -word;
        if (word > p[STATE_MOST]) word = p[STATE_MOST];
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
    int size = op[4];
    int64 saturated = 0;
    for (int i = TID; i < size * net.samples; i += THREADS) {
        int64 word = scaled(slopes[entries[i]], sums[i], 0, (int)p[OFFSET_SHIFT], (int)p[OFFSET_CUT]);
        int64 kept = limited(word, p[OFFSET_LOW], p[OFFSET_HIGH]);
        saturated += kept != word && net.scratch->running[i / size];
        if (offsets[i] != (int)kept) RAISE(&net.scratch->changed[i / size]);
        offsets[i] = (int)kept;
    }
    SYNC();
    return saturated;
}

DEVICE void softmax(const Network& net, const int* op, const int64* exponentials, const int64* reciprocals,
                    const int* labels, int* predictions) {
    const int64* p = net.numbers;
    const int64* sums = net.sums + (int64)op[1] * net.samples;
    int* errors = net.words + (int64)op[2] * net.samples;
    int classes = op[3];
    Scratch& s = *net.scratch;
    for (int sample = TID; sample < net.samples; sample += THREADS) {
        const int64* row = sums + sample * classes;
        int greatest = 0;
        for (int k = 1; k < classes; ++k)
            if (row[k] > row[greatest]) greatest = k;
        s.greatest[sample] = row[greatest];
        if (op[4]) predictions[sample] = greatest;
    }
    SYNC();
    if (op[2] < 0) return;
    for (int i = TID; i < classes * net.samples; i += THREADS) {
        int64 below = (s.greatest[i / classes] - sums[i]) << p[INDEX_LEFT];
        int64 index = (below + ((1LL << p[INDEX_RIGHT]) >> 1)) >> p[INDEX_RIGHT];
        if (index > p[INDEX_LAST]) index = p[INDEX_LAST];
        errors[i] = (int)exponentials[p[FIRST_EXPONENTIAL] + index];
    }
    SYNC();
    for (int sample = TID; sample < net.samples; sample += THREADS) {
        int64 total = 0, leading = 0;
        for (int k = 0; k < classes; ++k) total += errors[sample * classes + k];
        while (total >> (leading + 1)) ++leading;
        int64 rest = ((total << p[REST_BITS]) >> leading) & ((1LL << p[REST_BITS]) - 1);
        s.greatest[sample] = reciprocals[p[FIRST_RECIPROCAL] + rest];
        s.scale[sample] = leading + p[DROP];
    }
    SYNC();
    for (int i = TID; i < classes * net.samples; i += THREADS) {
        int sample = i / classes;
        int64 probability = nearest(errors[i] * s.greatest[sample], (int)s.scale[sample]);
        int64 wanted = labels[sample] == i % classes ? p[ONE] : 0;
        errors[i] = (int)limited(wanted - probability, p[ERROR_LOW], p[ERROR_HIGH]);
    }
    SYNC();
}

DEVICE uint32 mixed(uint32 word) {
    word += word << 10, word ^= word >> 6, word += word << 3, word ^= word >> 11, word += word << 15;
    return word;
}

DEVICE uint32 next_key(uint32 key) {
    key ^= key << 13, key ^= key >> 17, key ^= key << 5;
    return key;
}

DEVICE int64 update(const Network& net, const int* op, const int* shifts, int networks, const uint32* bits, uint32 key) {
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
    for (int column = 0; column < targets; column += TARGETS) {
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
        for (int first = 0; first < sources; first += DEPTH) {
            int many = sources - first < DEPTH ? sources - first : DEPTH;
            SYNC();
            prefetch(weights, targets, column, first + DEPTH, sources);
            stage_rows(net, states, sources, first, many, 0);
            if (by_chance)
                for (int k = TID; k < many; k += THREADS) {
                    uint32 word = bits[op[7] + first + k];
                    s.bits[k] = columns_are_sources ? mixed(word ^ key) : word;
                }
            SYNC();
            for (int j = 0; j < EACH; ++j) {
                int item = TID + j * THREADS, target = column + item % 32, row = item / 32;
                int* place = weights + (int64)(first + row) * targets + target;
                bool has[2] = {target < targets, target + 32 < targets};
                int ahead[2];
                UNROLL(2) for (int h = 0; h < 2; ++h) ahead[h] = row < many && has[h] ? place[32 * h] : 0;
                UNROLL(1) for (int k = row; k < many; k += ITEMS / 32, place += ITEMS / 32 * targets) {
                    const double* x = &s.u.in.rows[k * PITCH];
                    int before[2] = {ahead[0], ahead[1]};
                    double sum[2] = {0.0, 0.0};
                    UNROLL(2) for (int h = 0; h < 2; ++h)
                        ahead[h] = k + ITEMS / 32 < many && has[h] ? place[ITEMS / 32 * targets + 32 * h] : 0;
                    UNROLL(16) for (int a = 0; a < SAMPLES; ++a) {
                        sum[0] += x[a] * delta[j][0][a];
                        sum[1] += x[a] * delta[j][1][a];
                    }
                    UNROLL(2) for (int h = 0; h < 2; ++h) {
                        if (!has[h]) continue;
                        for (int a = SAMPLES; a < net.samples; ++a)
                            sum[h] += deltas[a * targets + target + 32 * h] * power * states[a * sources + first + k];
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

// Let every network go through batches.
//
// program: instructions; numbers (networks, PARAMETERS); shifts (rows, networks) of products; updates (rows, networks,
// 2): shift, whether sums must be limited; weights (networks, weights of one); sums, words: room of one network times
// samples; tables of all networks; bits: dither constants.
// levels (samples of the set, inputs), level_words (networks, 256): input words; or, with level_words null, inputs
// (batches, networks, samples, inputs).
// order (batches, networks, samples): which samples; classes: of the whole set; or, with order null, of every batch.
// Results: predictions, steps (2), a number a sample; counts (networks, 3): saturated weights, saturated offsets, samples
// predicted right, to which is added.
KERNEL run(const int* program, const int64* numbers, const int* shifts, const int* updates, int* weights, int weights_each,
           int64* all_sums, int sums_each, int* all_words, int words_each, const int64* intercepts, const int64* slopes,
           const int64* exponentials, const int64* reciprocals, const uint32* bits, uint32* keys, const uint8* levels,
           const int* level_words, const int* inputs, const int* order, const int* classes, int batches, int samples,
           int networks, int* predictions, int* steps, int64* counts) {
    SHARED Scratch scratch;
    SHARED int labels[MOST_SAMPLES];
    Network net;
    net.numbers = numbers + (int64)NETWORK * PARAMETERS;
    net.weights = weights + (int64)NETWORK * weights_each;
    net.sums = all_sums + (int64)NETWORK * sums_each * samples;
    net.words = all_words + (int64)NETWORK * words_each * samples;
    net.samples = samples;
    net.scratch = &scratch;
    uint32 key = keys[NETWORK];
    int64 saturated_weights = 0, saturated_offsets = 0, right = 0;
    for (int batch = 0; batch < batches; ++batch) {
        int64 place = ((int64)batch * networks + NETWORK) * samples;
        for (int i = TID; i < samples; i += THREADS) labels[i] = classes[order ? order[place + i] : place + i];
        SYNC();
        bool learns = false;
        for (int at = 0; program[at * WIDTH] != END; ++at) {
            const int* op = program + at * WIDTH;
            switch (op[0]) {
                case GATHER: {
                    int* to = net.words + (int64)op[1] * samples;
                    int size = op[2];
                    for (int i = TID; i < size * samples; i += THREADS)
                        to[i] = level_words ? level_words[NETWORK * 256 +
                                                          levels[(int64)order[place + i / size] * size + i % size]]
                                            : inputs[place * size + i];
                    SYNC();
                    break;
                }
                case PRODUCT: product(net, op, shifts, networks); break;
                case COPY: {
                    int64* to = net.sums + (int64)op[1] * samples;
                    for (int i = TID; i < op[3] * samples; i += THREADS)
                        to[i] = op[2] < 0 ? 0 : net.sums[(int64)op[2] * samples + i];
                    SYNC();
                    break;
                }
                case ACTIVATE: activate(net, op, intercepts, slopes); break;
                case OFFSET: saturated_offsets += offset(net, op, slopes); break;
                case SOFTMAX: softmax(net, op, exponentials, reciprocals, labels, predictions + place); break;
                case PHASE: {
                    for (int i = TID; i < samples; i += THREADS)
                        scratch.running[i] = 1, scratch.changed[i] = 0, scratch.steps[op[1]][i] = 0;
                    if (op[2] >= 0)
                        for (int i = TID; i < op[3] * samples; i += THREADS) net.words[(int64)op[2] * samples + i] = 0;
                    SYNC();
                    break;
                }
                case STEP: {
                    if (TID == 0) scratch.anyone = 0;
                    SYNC();
                    for (int i = TID; i < samples; i += THREADS) {
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
                    for (int i = TID; i < op[3] * samples; i += THREADS)
                        net.words[(int64)op[1] * samples + i] = net.words[(int64)op[2] * samples + i];
                    SYNC();
                    break;
                }
                case CONTRAST: {
                    for (int i = TID; i < op[4] * samples; i += THREADS)
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
        for (int i = TID; i < samples; i += THREADS) {
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
