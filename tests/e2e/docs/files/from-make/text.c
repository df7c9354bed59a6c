#include "version.h"

const char *text(void) { return VERSION; }
