/* A small fuzzing driver for where there is no libFuzzer: mutates inputs, and
 * keeps those that reach new edges (gcc's -fsanitize-coverage=trace-pc; this
 * file itself is compiled without).
 *
 *     plane_fuzz SECONDS SEED [CORPUS-FOLDER [save]] */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
void fuzz_counts(unsigned long long *in, unsigned long long *out);

#include <dirent.h>

enum { MAP = 1 << 16, INPUT_BYTES = 512, MAX_CORPUS = 4096 };

static u8 edges[MAP], seen[MAP];
static u8 corpus[MAX_CORPUS][INPUT_BYTES];
static u32 corpus_size[MAX_CORPUS], corpus_count;
static u64 random_state;

void __sanitizer_cov_trace_pc(void);

void __sanitizer_cov_trace_pc(void)
{
    static u64 previous;
    u64 here = (u64)(uintptr_t)__builtin_return_address(0);
    here = (here ^ here >> 17) * 0x9E3779B97F4A7C15u >> 40;
    edges[(here ^ previous) % MAP] = 1;
    previous = here >> 1;
}

static u64 chance(u64 below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

static bool is_new(void)
{
    bool any = false;
    for (u32 at = 0; at < MAP; at += 8) {
        u64 now;
        memcpy(&now, edges + at, 8);
        if (now == 0)
            continue;
        for (u32 n = at; n < at + 8; n++)
            if (edges[n] && !seen[n]) {
                seen[n] = 1;
                any = true;
            }
    }
    memset(edges, 0, MAP);
    return any;
}

static void keep(const u8 *data, u32 size)
{
    if (corpus_count < MAX_CORPUS) {
        memcpy(corpus[corpus_count], data, size);
        corpus_size[corpus_count++] = size;
    }
}

static u32 mutate(u8 *out)
{
    u32 size = 0;
    if (corpus_count > 0 && chance(16) != 0) {
        u32 from = (u32)chance(corpus_count);
        size = corpus_size[from];
        memcpy(out, corpus[from], size);
    }
    for (u64 edits = 1 + chance(8); edits > 0; edits--) {
        u64 kind = chance(5);
        if (kind == 0 || size == 0) {
            for (u64 more = 1 + chance(24); more > 0 && size < INPUT_BYTES; more--)
                out[size++] = (u8)chance(256);
        } else if (kind == 1) {
            out[chance(size)] = (u8)chance(256);
        } else if (kind == 2) {
            out[chance(size)] ^= (u8)(1u << chance(8));
        } else if (kind == 3 && size > 1) {
            u64 at = chance(size - 1), gone = 1 + chance(size - at - 1);
            memmove(out + at, out + at + gone, size - at - gone);
            size -= (u32)gone;
        } else if (corpus_count > 0) {
            u32 from = (u32)chance(corpus_count);
            u32 more = (u32)chance(corpus_size[from] + 1);
            if (more > INPUT_BYTES - size)
                more = INPUT_BYTES - size;
            memcpy(out + size, corpus[from], more);
            size += more;
        }
    }
    return size;
}

static void read_corpus(const char *folder)
{
    DIR *open_folder = opendir(folder);
    struct dirent *found;
    while (open_folder != NULL && (found = readdir(open_folder)) != NULL) {
        char path[1024];
        u8 data[INPUT_BYTES];
        snprintf(path, sizeof path, "%s/%s", folder, found->d_name);
        FILE *file = found->d_name[0] == '.' ? NULL : fopen(path, "rb");
        if (file == NULL)
            continue;
        u32 size = (u32)fread(data, 1, sizeof data, file);
        fclose(file);
        LLVMFuzzerTestOneInput(data, size);
        is_new();
        keep(data, size);
    }
    if (open_folder != NULL)
        closedir(open_folder);
}

static u64 name_of(const u8 *data, u32 size)
{
    u64 hash = 14695981039346656037u;
    for (u32 at = 0; at < size; at++)
        hash = (hash ^ data[at]) * 1099511628211u;
    return hash;
}

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void save(const char *folder, const u8 *data, u32 size)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%016llx", folder,
             (unsigned long long)name_of(data, size));
    FILE *file = fopen(path, "wb");
    if (file != NULL) {
        fwrite(data, 1, size, file);
        fclose(file);
    }
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 1;
    u64 inputs = 0;
    random_state = (argc > 2 ? strtoull(argv[2], NULL, 10) : 1) * 2654435761u + 1;
    if (argc > 3)
        read_corpus(argv[3]);
    double until = seconds_now() + seconds;
    for (; inputs % 64 != 0 || seconds_now() < until; inputs++) {
        u8 data[INPUT_BYTES];
        u32 size = mutate(data);
        LLVMFuzzerTestOneInput(data, size);
        if (is_new()) {
            keep(data, size);
            if (argc > 4)
                save(argv[3], data, size);
        }
    }
    unsigned long long in, out;
    fuzz_counts(&in, &out);
    printf("%llu inputs, %llu datagrams, %llu sent, %u kept\n",
           (unsigned long long)inputs, in, out, corpus_count);
    return 0;
}
