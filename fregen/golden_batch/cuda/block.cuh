// A batch of samples of one network, by one block of threads: the words of docs/numerics.md, in the order of a program
// that fregen/golden_batch/program.py writes.  Every block has its own network, so nothing but the threads of a block
// ever waits for another.
//
// The files of this folder are one source, in the order of fregen/golden_batch/block_model.py.  Compiled by NVRTC for a
// GPU; as plain C++ with THREADS threads for tests.  Sums of products are made in double, in which every integer below
// 2^53 is exact; all else in integers.

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
#define TO_INT(x) __double2int_rn(x)  // saturates
#define FLOOR(x) __double2ll_rd(x)
#define SCALE(x, bits) scalbn(x, bits)
#define TEXT(x) #x
#define UNROLL(count) _Pragma(TEXT(unroll count))
#else
#include "on_a_cpu.h"
#define DEVICE static inline
#define UNROLL(count)
#endif

enum Kind { END, GATHER, PRODUCT, CLEAR, ACTIVATE, OFFSET, SOFTMAX, PHASE, STEP, SAVE, CONTRAST, UPDATE };
// What an instruction holds, 12 numbers: its kind, then, in this order (64: a place among sums, 32: among words)
//   GATHER    to32, size
//   PRODUCT   to64, from32, rows summed over, columns, first weight, row length, transposed, row of shifts, plus64 (-1:
//             nothing is added)
//   CLEAR     to64, size
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
    INDEX_RIGHT, INDEX_LEFT, INDEX_LAST, FIRST_EXPONENTIAL, REST_BITS, FIRST_RECIPROCAL, DROP, ONE,
    ERROR_LOW, ERROR_HIGH,
    WEIGHT_LOW, WEIGHT_HIGH, BY_CHANCE, PARAMETERS
};

enum { TARGETS = 64, SAMPLES = 16, DEPTH = 64, PARTS = 4, ITEMS = 256, EACH = ITEMS / THREADS, MOST_SAMPLES = 64 };
// A tile of sums: 64 neurons x 16 samples; sums over 64 rows at a time, in 4 parts.
enum { PITCH = SAMPLES + 2, TILE_PITCH = TARGETS + 1, STAGED = SAMPLES * DEPTH / ITEMS, AHEAD = DEPTH / PARTS };
enum { WARPS = ITEMS / 32, GROUPS = DEPTH / WARPS };

struct Scratch {
    union {
        struct {
            double rows[DEPTH * PITCH];    // words of the source, row after row of all samples
            int tile[DEPTH * TILE_PITCH];  // weights that are read transposed
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
