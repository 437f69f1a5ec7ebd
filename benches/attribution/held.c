/*
 * A process to be read while it works: holds MEBIBYTES of memory in small pages, and maps, touches and unmaps a little
 * memory a thousand times a second. At each line on its standard input it says how long that took since the last line:
 * the number of rounds, and the median, the 99.9th percentile and the longest in microseconds.
 */

#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define ROUNDS_MAX 1000000
#define BLOCK_BYTES (64 << 10)

static double rounds[ROUNDS_MAX];

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1e6 + (double)at.tv_nsec / 1e3;
}

static int by_size(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static double round_trip(void)
{
    double began = now();
    char *block = mmap(NULL, BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    memset(block, 1, BLOCK_BYTES);
    munmap(block, BLOCK_BYTES);
    return now() - began;
}

int main(int count, char **arguments)
{
    if (count != 2) {
        fprintf(stderr, "usage: held MEBIBYTES\n");
        return 2;
    }
    size_t bytes = strtoull(arguments[1], NULL, 10) << 20;
    char *held = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (held == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    madvise(held, bytes, MADV_NOHUGEPAGE);
    memset(held, 1, bytes);
    puts("ready");
    fflush(stdout);
    size_t seen = 0;
    struct pollfd input = {.fd = 0, .events = POLLIN};
    char line[64];
    for (;;) {
        if (poll(&input, 1, 1) > 0) {
            if (fgets(line, sizeof line, stdin) == NULL) {
                return 0;
            }
            if (seen > 0) {
                qsort(rounds, seen, sizeof *rounds, by_size);
                printf("%zu %.0f %.0f %.0f\n", seen, rounds[seen / 2], rounds[seen - 1 - seen / 1000], rounds[seen - 1]);
            } else {
                puts("0 0 0 0");
            }
            fflush(stdout);
            seen = 0;
        } else if (seen < ROUNDS_MAX) {
            rounds[seen++] = round_trip();
        }
    }
}
