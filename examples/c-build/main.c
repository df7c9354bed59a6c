#include "roman.h"
#include "build/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numerals known from elsewhere, text that is none, and every number there and back. */
static int self_check(void)
{
    static const struct {
        const char *text;
        int number;
    } known[] = {{"IV", 4},  {"XLII", 42}, {"MCMXC", 1990}, {"MMMDCCCLXXXVIII", 3888},
                 {"", -1}, {"IIII", -1}, {"VX", -1},      {"fifty", -1}};
    char text[ROMAN_SIZE];

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (roman_parse(known[i].text) != known[i].number) {
            fprintf(stderr, "'%s' is read as %d\n", known[i].text, roman_parse(known[i].text));
            return 1;
        }
    for (int number = 1; number <= ROMAN_LARGEST; number++)
        if (roman_format(number, text) != 0 || roman_parse(text) != number) {
            fprintf(stderr, "%d is lost on its way\n", number);
            return 1;
        }
    printf("all %d numerals are right\n", ROMAN_LARGEST);
    return 0;
}

int main(int count, char **arguments)
{
    char text[ROMAN_SIZE];

    if (count != 2) {
        fputs("usage: roman NUMBER | NUMERAL | --version | --self-check\n", stderr);
        return 2;
    }
    if (strcmp(arguments[1], "--version") == 0) {
        puts("roman " VERSION);
        return 0;
    }
    if (strcmp(arguments[1], "--self-check") == 0)
        return self_check();
    if (roman_format(atoi(arguments[1]), text) == 0) {
        puts(text);
        return 0;
    }
    if (roman_parse(arguments[1]) > 0) {
        printf("%d\n", roman_parse(arguments[1]));
        return 0;
    }
    fprintf(stderr, "roman: neither a number from 1 to %d nor a numeral: %s\n", ROMAN_LARGEST, arguments[1]);
    return 1;
}
