#ifndef ROMAN_H
#define ROMAN_H

#define ROMAN_LARGEST 3999

/* Room for the longest numeral, MMMDCCCLXXXVIII, and its end. */
#define ROMAN_SIZE 16

/* Write a number from 1 to ROMAN_LARGEST as a numeral. Returns 0, or -1 for any other number. */
int roman_format(int number, char text[ROMAN_SIZE]);

/* Read a numeral. Returns its number, or -1 if it is none. */
int roman_parse(const char *text);

#endif
