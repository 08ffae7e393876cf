/* Prints BLAKE2b of 0, 1, 2 … as many bytes as each line of input asks for:
 * the sizes of digest, key and data. The key is 255, 254 … */
#include "../../mosaic/relay/blake2b.h"
#include <stdio.h>

int main(void)
{
    unsigned out_size, key_size, size;
    while (scanf("%u %u %u", &out_size, &key_size, &size) == 3) {
        uint8_t out[64], key[64], data[512];
        if (out_size > sizeof out || key_size > sizeof key || size > sizeof data)
            return 1;
        for (unsigned at = 0; at < sizeof data; at++)
            data[at] = (uint8_t)at;
        for (unsigned at = 0; at < sizeof key; at++)
            key[at] = (uint8_t)(255 - at);
        blake2b(out, out_size, key, key_size, data, size);
        for (unsigned at = 0; at < out_size; at++)
            printf("%02x", out[at]);
        printf("\n");
    }
    return 0;
}
