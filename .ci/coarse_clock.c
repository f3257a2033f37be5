/* Preloaded by .ci/shake: the coarse clocks tick every 10 ms, as under a kernel built with HZ=100. */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TICK_NANOSECONDS 10000000L

int clock_gettime(clockid_t id, struct timespec *now) {
    long result = syscall(SYS_clock_gettime, id, now);
    if (result == 0 && (id == CLOCK_MONOTONIC_COARSE || id == CLOCK_REALTIME_COARSE)) {
        now->tv_nsec = now->tv_nsec / TICK_NANOSECONDS * TICK_NANOSECONDS;
    }
    return (int)result;
}
