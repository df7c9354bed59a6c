#include "roman.h"

#include <string.h>

static int value_of(char letter)
{
    switch (letter) {
    case 'I': return 1;
    case 'V': return 5;
    case 'X': return 10;
    case 'L': return 50;
    case 'C': return 100;
    case 'D': return 500;
    case 'M': return 1000;
    default: return 0;
    }
}

int roman_parse(const char *text)
{
    char proper[ROMAN_SIZE];
    int number = 0;

    if (strlen(text) >= ROMAN_SIZE)
        return -1;
    for (const char *letter = text; *letter != '\0'; letter++) {
        int value = value_of(letter[0]);
        if (value == 0)
            return -1;
        number += value < value_of(letter[1]) ? -value : value;
    }
    /* Each number has one proper spelling: IIII is not four. */
    if (roman_format(number, proper) != 0 || strcmp(text, proper) != 0)
        return -1;
    return number;
}
