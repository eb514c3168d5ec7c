#include "core/lib/fmt.h"

struct out {
	char *buf;
	size_t size; /* room in buf, NUL included */
	size_t len;  /* of the whole text, also what did not fit */
};

struct spec {
	bool left;
	bool zero;
	int width;
	int precision; /* -1: none */
	unsigned int longs;
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void put_repeated(struct out *o, char c, int n)
{
	for (; n > 0; n--)
		put(o, c);
}

static void put_padded(struct out *o, const struct spec *s, const char *text,
		       int len)
{
	int pad = s->width - len;

	if (!s->left)
		put_repeated(o, ' ', pad);
	for (int i = 0; i < len; i++)
		put(o, text[i]);
	if (s->left)
		put_repeated(o, ' ', pad);
}

static void put_string(struct out *o, const struct spec *s, const char *text)
{
	int len = 0;

	if (!text)
		text = "(null)";
	while ((s->precision < 0 || len < s->precision) && text[len])
		len++;
	put_padded(o, s, text, len);
}

static void put_number(struct out *o, const struct spec *s, u64 v,
		       unsigned int base, const char *prefix,
		       const char *digits)
{
	char text[24];
	int pos = sizeof(text);
	int prefix_len = 0;

	while (prefix[prefix_len])
		prefix_len++;
	do {
		text[--pos] = digits[v % base];
		v /= base;
	} while (v);

	int len = (int)sizeof(text) - pos + prefix_len;

	if (!s->left && !s->zero)
		put_repeated(o, ' ', s->width - len);
	for (int i = 0; i < prefix_len; i++)
		put(o, prefix[i]);
	if (!s->left && s->zero)
		put_repeated(o, '0', s->width - len);
	for (; pos < (int)sizeof(text); pos++)
		put(o, text[pos]);
	if (s->left)
		put_repeated(o, ' ', s->width - len);
}

/* va_list is an array type: only a pointer to one that was copied into a
 * struct can be handed down and advanced. */
struct args {
	va_list va;
};

static int parse_count(const char **f, struct args *args)
{
	int n = 0;

	if (**f == '*') {
		(*f)++;
		return va_arg(args->va, int);
	}
	for (; **f >= '0' && **f <= '9'; (*f)++)
		if (n < 1000)
			n = n * 10 + **f - '0';
	return n;
}

static void parse_spec(struct spec *s, const char **f, struct args *args)
{
	*s = (struct spec){ .precision = -1 };
	for (;; (*f)++) {
		if (**f == '-')
			s->left = true;
		else if (**f == '0')
			s->zero = true;
		else
			break;
	}
	s->width = parse_count(f, args);
	if (s->width < 0) {
		s->left = true;
		s->width = -s->width;
	}
	if (**f == '.') {
		(*f)++;
		s->precision = parse_count(f, args);
	}
	for (; **f == 'l' || **f == 'z'; (*f)++)
		s->longs++;
}

static u64 unsigned_arg(const struct spec *s, struct args *args)
{
	return s->longs ? va_arg(args->va, u64) : va_arg(args->va, u32);
}

static void put_signed(struct out *o, const struct spec *s, struct args *args)
{
	s64 v = s->longs ? va_arg(args->va, s64) : va_arg(args->va, int);

	if (v < 0)
		put_number(o, s, 0 - (u64)v, 10, "-", "0123456789");
	else
		put_number(o, s, (u64)v, 10, "", "0123456789");
}

static void put_conversion(struct out *o, const struct spec *s, char c,
			   struct args *args)
{
	const char *lower = "0123456789abcdef";
	char single;

	switch (c) {
	case 'c':
		single = (char)va_arg(args->va, int);
		put_padded(o, s, &single, 1);
		break;
	case 's':
		put_string(o, s, va_arg(args->va, const char *));
		break;
	case 'd':
	case 'i':
		put_signed(o, s, args);
		break;
	case 'u':
		put_number(o, s, unsigned_arg(s, args), 10, "", lower);
		break;
	case 'x':
		put_number(o, s, unsigned_arg(s, args), 16, "", lower);
		break;
	case 'X':
		put_number(o, s, unsigned_arg(s, args), 16, "",
			   "0123456789ABCDEF");
		break;
	case 'p':
		put_number(o, s, (uintptr_t)va_arg(args->va, void *), 16, "0x",
			   lower);
		break;
	default: /* %% and what we do not know */
		put(o, c);
	}
}

int fmt_vprint(char *buf, size_t size, const char *format, va_list va)
{
	struct out o = { buf, size, 0 };
	struct args args;
	struct spec spec;

	va_copy(args.va, va);
	while (*format) {
		if (*format != '%') {
			put(&o, *format++);
			continue;
		}
		format++;
		parse_spec(&spec, &format, &args);
		if (*format)
			put_conversion(&o, &spec, *format++, &args);
	}
	va_end(args.va);
	if (size)
		buf[o.len < size ? o.len : size - 1] = '\0';
	return (int)o.len;
}

int fmt_print(char *buf, size_t size, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = fmt_vprint(buf, size, format, args);
	va_end(args);
	return len;
}
