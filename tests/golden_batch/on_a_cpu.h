// What the kernel takes from a GPU, of a processor: threads of a block are threads, which wait at a barrier.  Compiled
// with -fsanitize=thread it tells where a barrier is missing.

#include <math.h>
#include <pthread.h>

#include <thread>
#include <utility>
#include <vector>

typedef long long int64;
typedef unsigned int uint32;
typedef unsigned char uint8;

static thread_local int thread_number, network_number;
static pthread_barrier_t barrier;

#define KERNEL static void
#define SHARED static
#define TID thread_number
#define NETWORK network_number
#define SYNC() pthread_barrier_wait(&barrier)
#define ADD(place, count) __atomic_fetch_add(place, count, __ATOMIC_RELAXED)
#define RAISE(place) __atomic_store_n(place, 1, __ATOMIC_RELAXED)
#define TO_INT(x) ((int)nearbyint(fmin(fmax(x, -2147483648.0), 2147483647.0)))
#define FLOOR(x) ((int64)floor(x))
#define SCALE(x, bits) scalbn(x, bits)

template <class... Arguments, size_t... places>
static void call(void (*kernel)(Arguments...), const int64* given, std::index_sequence<places...>) {
    kernel((Arguments)given[places]...);
}

template <class... Arguments>
static void launch_on_threads(void (*kernel)(Arguments...), const int64* given, int networks) {
    pthread_barrier_init(&barrier, nullptr, THREADS);
    std::vector<std::thread> threads;
    for (int number = 0; number < THREADS; ++number)
        threads.emplace_back([=] {
            thread_number = number;
            for (network_number = 0; network_number < networks; ++network_number) {
                call(kernel, given, std::index_sequence_for<Arguments...>{});
                SYNC();
            }
        });
    for (auto& thread : threads) thread.join();
    pthread_barrier_destroy(&barrier);
}
