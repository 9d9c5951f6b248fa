/*
 * rfc3339.c
 *		Reads any ISO 8601 time that has an offset, writes RFC 3339 in UTC.
 *
 * The server's own input function reads much more ("now", a time without an
 * offset in the session's zone) and raises an error for the rest.  Here a time
 * that cannot be read is an answer, because a charge point may report one.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "rfc3339.h"

/*
 * read_digits
 *		Read exactly "count" digits and advance past them.
 */
static bool
read_digits(const char **p, int count, int *value)
{
	*value = 0;
	for (int i = 0; i < count; i++, (*p)++)
	{
		if (**p < '0' || **p > '9')
			return false;
		*value = *value * 10 + (**p - '0');
	}
	return true;
}

/*
 * count_digits
 *		Count the digits ahead.
 */
static int
count_digits(const char *p)
{
	return (int) strspn(p, "0123456789");
}

/*
 * read_date
 *		Read a calendar, week or ordinal date as a Julian day number.
 *
 * Each has an extended form with hyphens and a basic one without; the number
 * of digits tells an ordinal date from a calendar date.
 */
static bool
read_date(const char **p, int *day)
{
	int			year;
	int			month;
	int			part;
	bool		extended;

	if (!read_digits(p, 4, &year))
		return false;
	extended = **p == '-';
	if (extended)
		(*p)++;

	if (**p == 'W')
	{
		int			week;
		int			monday;

		(*p)++;
		if (!read_digits(p, 2, &week) || week < 1 || week > 53)
			return false;
		if (extended && *(*p)++ != '-')
			return false;
		if (!read_digits(p, 1, &part) || part < 1 || part > 7)
			return false;
		/* January 4 is always in week 1 */
		monday = date2j(year, 1, 4);
		monday -= (j2day(monday) + 6) % 7;
		*day = monday + (week - 1) * 7 + part - 1;
		return true;
	}

	if (count_digits(*p) == 3)
	{
		if (!read_digits(p, 3, &part) || part < 1 ||
			part > (isleap(year) ? 366 : 365))
			return false;
		*day = date2j(year, 1, 1) + part - 1;
		return true;
	}

	if (!read_digits(p, 2, &month) || month < 1 || month > 12)
		return false;
	if (extended && *(*p)++ != '-')
		return false;
	if (!read_digits(p, 2, &part) || part < 1 ||
		part > day_tab[isleap(year)][month - 1])
		return false;
	*day = date2j(year, month, part);
	return true;
}

/*
 * read_time_of_day
 *		Read hours, minutes, seconds and a fraction, in microseconds.
 *
 * 24:00 is the end of the day, and second 60, a leap second, is the first of
 * the next minute.  Digits past the microsecond are cut off.
 */
static bool
read_time_of_day(const char **p, int64 *usecs)
{
	int			hour;
	int			minute = 0;
	int			second = 0;
	int64		fraction = 0;
	bool		extended;

	if (!read_digits(p, 2, &hour) || hour > 24)
		return false;
	extended = **p == ':';
	if (extended || count_digits(*p) >= 2)
	{
		if (extended)
			(*p)++;
		if (!read_digits(p, 2, &minute) || minute > 59)
			return false;
		if (extended ? **p == ':' : count_digits(*p) >= 2)
		{
			if (extended)
				(*p)++;
			if (!read_digits(p, 2, &second) || second > 60)
				return false;
			if (**p == '.' || **p == ',')
			{
				int			scale = USECS_PER_SEC / 10;

				(*p)++;
				if (count_digits(*p) == 0)
					return false;
				for (; **p >= '0' && **p <= '9'; (*p)++, scale /= 10)
					fraction += (**p - '0') * scale;
			}
		}
	}
	if (hour == 24 && (minute != 0 || second != 0 || fraction != 0))
		return false;

	*usecs = hour * USECS_PER_HOUR + minute * USECS_PER_MINUTE +
		second * USECS_PER_SEC + fraction;
	return true;
}

/*
 * read_offset
 *		Read Z or an offset from UTC, in microseconds; it must be there.
 */
static bool
read_offset(const char **p, int64 *usecs)
{
	int			sign;
	int			hours;
	int			minutes = 0;

	*usecs = 0;
	if (**p == 'Z' || **p == 'z')
	{
		(*p)++;
		return true;
	}
	if (**p != '+' && **p != '-')
		return false;
	sign = *(*p)++ == '+' ? 1 : -1;
	if (!read_digits(p, 2, &hours) || hours > 23)
		return false;
	if (**p == ':')
	{
		(*p)++;
		if (!read_digits(p, 2, &minutes))
			return false;
	}
	else if (count_digits(*p) == 2 && !read_digits(p, 2, &minutes))
		return false;
	if (minutes > 59)
		return false;

	*usecs = sign * (hours * USECS_PER_HOUR + minutes * USECS_PER_MINUTE);
	return true;
}

/*
 * evc_time_parse
 *		Read a time; an empty text is EVC_NO_TIME.
 *
 * Returns false if the text is no ISO 8601 time with an offset, or not of the
 * years 0000 to 9999 in UTC.
 */
bool
evc_time_parse(const char *text, TimestampTz *time)
{
	const char *p = text;
	int			day;
	int64		time_of_day;
	int64		offset;
	int64		utc;

	*time = EVC_NO_TIME;
	if (*p == '\0')
		return true;

	if (!read_date(&p, &day))
		return false;
	if (*p != 'T' && *p != 't' && *p != ' ')
		return false;
	p++;
	if (!read_time_of_day(&p, &time_of_day) ||
		!read_offset(&p, &offset) ||
		*p != '\0')
		return false;

	/* what could not be written in UTC with four digits of year is refused */
	utc = day * USECS_PER_DAY + time_of_day - offset;
	if (utc < date2j(0, 1, 1) * USECS_PER_DAY ||
		utc >= date2j(10000, 1, 1) * USECS_PER_DAY)
		return false;
	*time = utc - POSTGRES_EPOCH_JDATE * USECS_PER_DAY;
	return true;
}

/* Write a number of so many digits and what follows it; return where it ends. */
static char *
put(char *to, int value, int digits, char after)
{
	to = pg_ultostr_zeropad(to, value, digits);
	*to++ = after;
	return to;
}

/*
 * evc_time_format
 *		Write a time in UTC with Z, "" for EVC_NO_TIME.
 *
 * The fraction is written only if there is one, without trailing zeros.
 */
const char *
evc_time_format(TimestampTz time)
{
	struct pg_tm tm;
	fsec_t		fsec;
	char	   *text;
	char	   *end;

	if (TIMESTAMP_NOT_FINITE(time) ||
		timestamp2tm(time, NULL, &tm, &fsec, NULL, NULL) != 0)
		return "";

	text = end = palloc(MAXDATELEN + 1);
	if (tm.tm_year < 0)
		*end++ = '-';
	end = put(end, abs(tm.tm_year), 4, '-');
	end = put(end, tm.tm_mon, 2, '-');
	end = put(end, tm.tm_mday, 2, 'T');
	end = put(end, tm.tm_hour, 2, ':');
	end = put(end, tm.tm_min, 2, ':');
	end = pg_ultostr_zeropad(end, tm.tm_sec, 2);
	if (fsec != 0)
	{
		*end++ = '.';
		end = pg_ultostr_zeropad(end, fsec, 6);
		while (end[-1] == '0')
			end--;
	}
	strcpy(end, "Z");
	return text;
}
