#include "version.h"

const char *text(void);

int main(void) { return text()[0] != VERSION[0]; }
