/* Files of a user's cache: where they are, written whole or not at all, and the hashes that name and seal them. */
#define _POSIX_C_SOURCE 200809L
#include "driver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *store_user_folder(void)
{
    const char *own = getenv("CLGRAD_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    text path = {0};
    if (own && (!*own || strcmp(own, "off") == 0))
        return NULL;
    if (own)
        text_add(&path, "%s", own);
    else if (xdg && *xdg == '/')
        text_add(&path, "%s/clgrad", xdg);
    else if (home && *home)
        text_add(&path, "%s/.cache/clgrad", home);
    if (path.failed)
        text_free(&path);
    return path.data;
}

/* Makes the folders of a path; failure shows when the file is written. */
static void make_folders(const char *path)
{
    char *part = strdup(path);
    for (char *slash = part ? strchr(part + 1, '/') : NULL; slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(part, 0777);
        *slash = '/';
    }
    free(part);
}

bool store_write_file(const char *path, const char *bytes, size_t size)
{
    text temporary = {0};
    make_folders(path);
    text_add(&temporary, "%s.%ld.XXXXXX", path, (long)getpid());
    int descriptor = temporary.failed ? -1 : mkstemp(temporary.data);
    FILE *file = descriptor >= 0 ? fdopen(descriptor, "wb") : NULL;
    bool written = file && fwrite(bytes, 1, size, file) == size;
    int error = errno;
    if (file && fclose(file) != 0) {
        error = written ? errno : error;
        written = false;
    } else if (!file && descriptor >= 0)
        close(descriptor);
    if (written && rename(temporary.data, path) != 0) {
        error = errno;
        written = false;
    }
    if (!written && descriptor >= 0)
        (void)unlink(temporary.data);
    text_free(&temporary);
    errno = error;
    return written;
}

void store_read_rest(FILE *file, text *t)
{
    char block[65536];
    for (size_t n; (n = fread(block, 1, sizeof block, file)) > 0;)
        text_append(t, block, n);
    if (ferror(file))
        t->failed = true;
}

/* ---------------------------------------------------------------- hashes */

store_hash store_hash_start(void) { return (store_hash){0x6c62272e07bb0142u, 0x62b821756295c58du}; }

store_hash store_hash_bytes(store_hash hash, const char *bytes, size_t size)
{
    const uint64_t prime = 0x13b; /* and 2^88 */
    for (size_t i = 0; i < size; i++) {
        uint64_t low = hash.low ^ (unsigned char)bytes[i], first = (low & 0xffffffffu) * prime;
        uint64_t second = (low >> 32) * prime + (first >> 32);
        hash.high = hash.high * prime + (second >> 32) + (low << 24);
        hash.low = low * prime;
    }
    return hash;
}

store_digest store_digest_of(const char *bytes, size_t size)
{
    store_digest digest;
    store_hash hash = store_hash_bytes(store_hash_start(), bytes, size);
    snprintf(digest.digits, sizeof digest.digits, "%016llx%016llx", (unsigned long long)hash.high,
             (unsigned long long)hash.low);
    return digest;
}
