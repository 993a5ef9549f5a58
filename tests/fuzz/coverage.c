/* Which basic blocks of the instrumented engine have run: gcc's -fsanitize-coverage=trace-pc calls in at each. */
#include <stdint.h>
#include <string.h>

enum { SIZE = 1 << 16 };
static uint8_t seen[SIZE], ever[SIZE];

void __sanitizer_cov_trace_pc(void) {
    uintptr_t at = (uintptr_t)__builtin_return_address(0);
    seen[(at ^ at >> 16) & (SIZE - 1)] = 1;
}

void coverage_begin(void) { memset(seen, 0, sizeof seen); }

/* Returns how many blocks ran for the first time since the start. */
int coverage_news(void) {
    int news = 0;
    for (int k = 0; k < SIZE; k++) {
        if (seen[k] && !ever[k]) {
            ever[k] = 1;
            news++;
        }
    }
    return news;
}
