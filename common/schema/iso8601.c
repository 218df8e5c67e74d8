#include "schema/iso8601.h"

enum { FRACTION_MAX = 9 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes a number of exactly `digits` digits between min and max. */
static bool take_number(struct str *text, size_t digits, unsigned min, unsigned max,
                        unsigned *ret_value)
{
    if (text->len < digits) {
        return false;
    }
    unsigned value = 0;
    for (size_t i = 0; i < digits; i++) {
        if (!is_digit(text->ptr[i])) {
            return false;
        }
        value = value * 10 + (unsigned)(text->ptr[i] - '0');
    }
    *text = str_skip(*text, digits);
    *ret_value = value;
    return value >= min && value <= max;
}

static bool take(struct str *text, char c)
{
    if (text->len == 0 || text->ptr[0] != c) {
        return false;
    }
    *text = str_skip(*text, 1);
    return true;
}

static unsigned days_in(unsigned year, unsigned month)
{
    static const unsigned char days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

static bool take_date(struct str *text)
{
    unsigned year, month, day;
    return take_number(text, 4, 1, 9999, &year) && take(text, '-') &&
           take_number(text, 2, 1, 12, &month) && take(text, '-') &&
           take_number(text, 2, 1, days_in(year, month), &day);
}

static bool take_fraction(struct str *text)
{
    size_t digits = 0;
    while (digits < text->len && is_digit(text->ptr[digits])) {
        digits++;
    }
    *text = str_skip(*text, digits);
    return digits > 0 && digits <= FRACTION_MAX;
}

static bool take_time(struct str *text)
{
    unsigned hour, minute, second;
    return take_number(text, 2, 0, 23, &hour) && take(text, ':') &&
           take_number(text, 2, 0, 59, &minute) && take(text, ':') &&
           take_number(text, 2, 0, 59, &second) && (!take(text, '.') || take_fraction(text));
}

static bool take_zone(struct str *text)
{
    if (take(text, 'Z')) {
        return true;
    }
    unsigned hour, minute;
    return (take(text, '+') || take(text, '-')) && take_number(text, 2, 0, 23, &hour) &&
           take(text, ':') && take_number(text, 2, 0, 59, &minute);
}

bool iso8601_valid(struct str text)
{
    return take_date(&text) && take(&text, 'T') && take_time(&text) && take_zone(&text) &&
           text.len == 0;
}
