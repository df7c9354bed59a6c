#include "roman.h"

#include <string.h>

static const struct {
    int value;
    const char *letters;
} steps[] = {
    {1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"}, {50, "L"},
    {40, "XL"},  {10, "X"},   {9, "IX"},  {5, "V"},    {4, "IV"},  {1, "I"},
};

int roman_format(int number, char text[ROMAN_SIZE])
{
    if (number < 1 || number > ROMAN_LARGEST)
        return -1;
    text[0] = '\0';
    for (size_t i = 0; number > 0; i++)
        for (; number >= steps[i].value; number -= steps[i].value)
            strcat(text, steps[i].letters);
    return 0;
}
