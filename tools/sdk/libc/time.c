/* C11 7.27.3: the calendar, in UTC. The clock itself is in start.c. */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <time.h>

#define DAY 86400

/*
 * The proleptic Gregorian calendar. Years are counted from March, so that
 * the leap day is a year's last, in eras of 400 years, from 0000-03-01.
 */
struct tm *gmtime_r(const time_t *restrict t, struct tm *restrict tm)
{
	int64_t days = *t / DAY - (*t % DAY < 0);
	int64_t second = (*t % DAY + DAY) % DAY;
	int64_t z = days + 719468; /* 1970-01-01 */
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t month = (5 * doy + 2) / 153; /* from March */
	int64_t year = yoe + era * 400 + (month >= 10);
	int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	if (year - 1900 < INT_MIN || year - 1900 > INT_MAX) {
		errno = EOVERFLOW;
		return NULL;
	}
	*tm = (struct tm){
		.tm_sec = (int)(second % 60),
		.tm_min = (int)(second / 60 % 60),
		.tm_hour = (int)(second / 3600),
		.tm_mday = (int)(doy - (153 * month + 2) / 5 + 1),
		.tm_mon = (int)(month < 10 ? month + 2 : month - 10),
		.tm_year = (int)(year - 1900),
		.tm_wday = (int)(((days + 4) % 7 + 7) % 7),
		.tm_yday = (int)(month < 10 ? doy + 59 + leap : doy - 306),
	};
	return tm;
}
