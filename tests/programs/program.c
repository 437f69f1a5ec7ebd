/* A watched program for the end-to-end tests, in C. README.md beside this file says what every option and behaviour
 * means; all five sources follow it alike.
 *
 * Live memory is made of malloc blocks of 1 to 8 KiB, allocator header included, each written from end to end, so that
 * resident memory follows the amount asked for. */

#define _GNU_SOURCE
#include <malloc.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Work happens in short ticks: often enough for a smooth curve at 200 ms sampling, seldom enough to cost no CPU. */
#define TICK_MILLIS 40
/* After a stall, garbage is not made up for, since a burst would move the peak and not the floor. */
#define LONGEST_GARBAGE_SECONDS 0.2
#define LARGEST_BLOCK 8192
/* malloc keeps 8 bytes before a block. The block asked for is shorter by that much, so that blocks are powers of two:
 * they fill the gaps that garbage leaves to the last byte, where odd sizes would lose some 5 % to remainders too small
 * to use. */
#define HEADER_BYTES 8

static const char *const BEHAVIOURS[] = {"leak", "sawtooth", "warmup", "daily", "step", "steady"};
enum behaviour { LEAK, SAWTOOTH, WARMUP, DAILY, STEP, STEADY, BEHAVIOUR_COUNT };
#define EXPECTED_BEHAVIOUR "one of leak, sawtooth, warmup, daily, step, steady"

enum kind { BEHAVIOUR, WHOLE, PERCENT, POSITIVE };
static const char *const EXPECTED[] = {
    EXPECTED_BEHAVIOUR,
    "a whole number from 0 to 1000000000",
    "a whole number from 0 to 100",
    "a number above 0, at most 1000000",
};

enum option_index {
    OPT_BEHAVIOUR, RATE, ONSET, GARBAGE, SESSIONS, LIFE, SWING, BASE, CACHE, AMPLITUDE, PERIOD, SEED, SECONDS,
    OPTION_COUNT
};
static const struct option {
    const char *name;
    enum kind kind;
    double value;
} OPTIONS[OPTION_COUNT] = {
    {"--behaviour", BEHAVIOUR, -1},   {"--rate", WHOLE, 200000},   {"--onset", WHOLE, 0},
    {"--garbage", WHOLE, 4000000},    {"--sessions", WHOLE, 0},    {"--life", POSITIVE, 5},
    {"--swing", PERCENT, 0},          {"--base", WHOLE, 25165824}, {"--cache", WHOLE, 0},
    {"--amplitude", WHOLE, 33554432}, {"--period", POSITIVE, 60},  {"--seed", WHOLE, 1},
    {"--seconds", POSITIVE, 900},
};

/* The bytes after the link are written content. The link leads to the block below in a pool, to the next in a flow. */
struct block {
    struct block *below;
};

/* A stack of blocks that is resized to a number of bytes, overhead included. */
struct pool {
    struct block *top;
    double bytes;
};

/* A queue of blocks: new ones enter at the end, and the oldest leave once it holds more than it may. */
struct flow {
    struct block *oldest, *newest;
    double bytes, entered;
};

struct sawtooth {
    double began, ends;
    uint32_t random;
};

static void read_options(int count, char **words, double *values);
static double live_wanted(const double *values, struct sawtooth *sawtooth, double seconds);
static double cycle_length(double period, uint32_t *random);
static double pool_resize(struct pool *pool, double target, uint32_t *sizes);
static void turn_cache(struct flow *cache, const double *values, double seconds, uint32_t *sizes);
static void flow_turn(struct flow *flow, double entered, double bound, uint32_t *sizes);
static double pace(const double *values, double seconds);
static double done_work(const double *values, double seconds);
static void give_back(double change, double amplitude);
static int input_ended(void);
static double seconds_now(void);
static uint32_t random_start(double seed);
static void end_well(int signal_number);

int main(int argc, char **argv)
{
    double values[OPTION_COUNT];
    read_options(argc - 1, argv + 1, values);
    signal(SIGTERM, end_well);

    uint32_t sizes = random_start(values[SEED]);
    struct pool base = {0}, live = {0}, garbage = {0};
    struct flow cache = {0}, sessions = {0};
    struct sawtooth sawtooth = {.random = random_start(values[SEED] + 1)};
    sawtooth.ends = cycle_length(values[PERIOD], &sawtooth.random);
    pool_resize(&base, values[BASE], &sizes);
    flow_turn(&cache, values[CACHE], values[CACHE], &sizes);
    printf("ready pid=%d\n", (int)getpid());
    fflush(stdout);

    double start = seconds_now(), last = 0;
    while (!input_ended()) {
        double seconds = seconds_now() - start;
        if (seconds >= values[SECONDS])
            break;
        give_back(pool_resize(&live, live_wanted(values, &sawtooth, seconds), &sizes), values[AMPLITUDE]);
        turn_cache(&cache, values, seconds, &sizes);
        double work = done_work(values, seconds);
        double session_bound = values[SESSIONS] * values[LIFE] * pace(values, seconds);
        flow_turn(&sessions, values[SESSIONS] * work, session_bound, &sizes);
        /* The garbage of a tick is held until the next, then dropped. */
        pool_resize(&garbage, 0, &sizes);
        pool_resize(&garbage, values[GARBAGE] * fmin(work - last, LONGEST_GARBAGE_SECONDS), &sizes);
        last = work;
    }
    return 0;
}

/* What enters the cache follows the clock; once the program leaks, nothing leaves it. */
static void turn_cache(struct flow *cache, const double *values, double seconds, uint32_t *sizes)
{
    int leaks = values[OPT_BEHAVIOUR] == LEAK;
    if (!leaks && values[CACHE] == 0)
        return;
    double leaked = leaks ? values[RATE] * fmax(0, seconds - values[ONSET]) : 0;
    flow_turn(cache, values[CACHE] + values[RATE] * seconds, values[CACHE] + leaked, sizes);
}

/* How much busier than usual the program is: the load swings. */
static double pace(const double *values, double seconds)
{
    return 1 + values[SWING] / 100 * sin(2 * M_PI * seconds / values[PERIOD]);
}

/* The sum of the pace since the start, which is the seconds where the load does not swing. */
static double done_work(const double *values, double seconds)
{
    double turn = 2 * M_PI / values[PERIOD];
    return seconds + values[SWING] / 100 * (1 - cos(turn * seconds)) / turn;
}

/* The bytes held above the base and the cache at a number of seconds since the start. */
static double live_wanted(const double *values, struct sawtooth *sawtooth, double seconds)
{
    double amplitude = values[AMPLITUDE], period = values[PERIOD];
    switch ((enum behaviour)values[OPT_BEHAVIOUR]) {
    case SAWTOOTH:
        /* The slope is constant and the drop comes early or late by up to a quarter, so the peaks vary by as much. */
        while (seconds >= sawtooth->ends) {
            sawtooth->began = sawtooth->ends;
            sawtooth->ends += cycle_length(period, &sawtooth->random);
        }
        return amplitude * (seconds - sawtooth->began) / period;
    case WARMUP:
        return amplitude * (1 - exp(-seconds / period));
    case DAILY:
        return amplitude * (1 - cos(2 * M_PI * seconds / period)) / 2;
    case STEP:
        return seconds < period ? 0 : amplitude;
    default:
        return 0;
    }
}

/* Xorshift in 32 bits, since every one of the five languages computes it alike. */
static uint32_t random_next(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static uint32_t random_start(double seed)
{
    uint32_t state = (uint32_t)seed * 2654435761u + 2654435769u;
    return state ? state : 1;
}

static double cycle_length(double period, uint32_t *random)
{
    return period * (0.75 + 0.5 * random_next(random) / 4294967296.0);
}

static struct block *written(size_t size)
{
    static unsigned written_so_far;
    struct block *block = malloc(size);
    if (!block) {
        fprintf(stderr, "program: no memory for a block of %zu bytes\n", size);
        exit(1);
    }
    memset(block, (int)(++written_so_far % 255 + 1), size);
    return block;
}

static double block_bytes(struct block *block)
{
    return (double)(malloc_usable_size(block) + HEADER_BYTES);
}

/* Returns the change in bytes: above zero for growth, below for blocks dropped. */
static double pool_resize(struct pool *pool, double target, uint32_t *sizes)
{
    double before = pool->bytes;
    /* Stops within half of the largest block of the target, so that the rounding has no lasting direction. */
    while (pool->bytes + LARGEST_BLOCK / 2 <= target) {
        struct block *block = written(((size_t)1024 << (random_next(sizes) >> 30)) - HEADER_BYTES);
        block->below = pool->top;
        pool->top = block;
        pool->bytes += block_bytes(block);
    }
    while (pool->top && pool->bytes - LARGEST_BLOCK > target) {
        struct block *block = pool->top;
        pool->top = block->below;
        pool->bytes -= block_bytes(block);
        free(block);
    }
    return pool->bytes - before;
}

/* Lets blocks in until so many bytes have entered in all, and out until it holds no more than the bound. */
static void flow_turn(struct flow *flow, double entered, double bound, uint32_t *sizes)
{
    while (flow->entered + LARGEST_BLOCK / 2 <= entered) {
        struct block *block = written(((size_t)1024 << (random_next(sizes) >> 30)) - HEADER_BYTES);
        block->below = NULL;
        if (flow->newest)
            flow->newest->below = block;
        else
            flow->oldest = block;
        flow->newest = block;
        flow->bytes += block_bytes(block);
        flow->entered += block_bytes(block);
    }
    while (flow->oldest && flow->bytes - LARGEST_BLOCK > bound) {
        struct block *block = flow->oldest;
        flow->oldest = block->below;
        if (!flow->oldest)
            flow->newest = NULL;
        flow->bytes -= block_bytes(block);
        free(block);
    }
}

/* Asks the allocator to return dropped memory after each eighth of the amplitude, and when a descent has ended. */
static void give_back(double change, double amplitude)
{
    static double dropped;
    if (change < 0)
        dropped -= change;
    if (dropped > 0 && (dropped >= amplitude / 8 || change > 0)) {
        dropped = 0;
        malloc_trim(0);
    }
}

/* Waits for the next tick, and answers early when standard input has something to say. */
static int input_ended(void)
{
    char unused[4096];
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    int ready = poll(&input, 1, TICK_MILLIS);
    return ready > 0 && read(STDIN_FILENO, unused, sizeof unused) <= 0;
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void end_well(int signal_number)
{
    (void)signal_number;
    _exit(0);
}

static void refuse_value(const struct option *option, const char *text)
{
    if (text)
        fprintf(stderr, "program: %s: '%s' is not %s\n", option->name, text, EXPECTED[option->kind]);
    else
        fprintf(stderr, "program: %s: value missing, expected %s\n", option->name, EXPECTED[option->kind]);
    exit(2);
}

static void refuse_name(const char *name)
{
    fprintf(stderr, "program: unknown option '%s', accepted: ", name);
    for (int i = 0; i < OPTION_COUNT; i++)
        fprintf(stderr, "%s%s", i ? ", " : "", OPTIONS[i].name);
    fprintf(stderr, "\n");
    exit(2);
}

/* Below zero for a text that is not of the kind. */
static double read_value(enum kind kind, const char *text)
{
    if (kind == BEHAVIOUR) {
        for (int i = 0; i < BEHAVIOUR_COUNT; i++)
            if (strcmp(text, BEHAVIOURS[i]) == 0)
                return i;
        return -1;
    }
    const char *digits = "0123456789";
    size_t whole = strspn(text, digits);
    size_t part = kind == POSITIVE && text[whole] == '.' ? strspn(text + whole + 1, digits) : 0;
    size_t length = whole + (part ? part + 1 : 0);
    if (whole == 0 || whole > (kind == WHOLE ? 10 : 7) || part > 6 || text[length] != '\0')
        return -1;
    double value = strtod(text, NULL);
    if (kind != POSITIVE)
        return value <= (kind == PERCENT ? 100 : 1e9) ? value : -1;
    return value > 0 && value <= 1e6 ? value : -1;
}

static void read_options(int count, char **words, double *values)
{
    for (int k = 0; k < OPTION_COUNT; k++)
        values[k] = OPTIONS[k].value;
    for (int i = 0; i < count; i += 2) {
        int k = 0;
        while (k < OPTION_COUNT && strcmp(words[i], OPTIONS[k].name) != 0)
            k++;
        if (k == OPTION_COUNT)
            refuse_name(words[i]);
        if (i + 1 == count)
            refuse_value(&OPTIONS[k], NULL);
        values[k] = read_value(OPTIONS[k].kind, words[i + 1]);
        if (values[k] < 0)
            refuse_value(&OPTIONS[k], words[i + 1]);
    }
    if (values[OPT_BEHAVIOUR] < 0) {
        fprintf(stderr, "program: --behaviour: missing, expected %s\n", EXPECTED_BEHAVIOUR);
        exit(2);
    }
}
