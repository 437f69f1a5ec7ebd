/* A native module that leaks, from inside (a pool of its own, filled and never emptied) or by malloc. */

#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES 1000
#define POOL_BYTES (32 << 20)

/* Begins as something else than zeroes, so that it lies in the file and is the module's own beyond doubt. */
static char pool[POOL_BYTES] = {1};
static size_t filled;

/* Writes so many bytes more of the pool, as long as it lasts. */
void fill_pool(size_t bytes)
{
    if (bytes > POOL_BYTES - filled) {
        bytes = POOL_BYTES - filled;
    }
    memset(pool + filled, 2, bytes);
    filled += bytes;
}

/* Allocates so many bytes in small blocks and forgets them. */
void forget_blocks(size_t bytes)
{
    for (size_t done = 0; done < bytes; done += BLOCK_BYTES) {
        char *block = malloc(BLOCK_BYTES);
        if (block == NULL) {
            abort();
        }
        memset(block, 3, BLOCK_BYTES);
    }
}
