#include "tools/sdk/libc/heap.h"
#include "core/lib/range.h"
#include "core/lib/string.h"

enum page_kind {
	PAGE_INSIDE,
	PAGE_FREE,
	PAGE_RUN,
	PAGE_SLOTS
};

struct slot {
	struct slot *next;
};

struct heap_page {
	u8 kind; /* for free runs also at their last page */
	u8 class;
	u16 live;			/* slots in use */
	u32 run;			/* pages; also at a free run's last */
	struct slot *free;		/* of a page of slots */
	struct heap_page *next, **link; /* in the list that it is on */
};

/* Those past 512 divide a page into 6, 5, 4, 3 and 2. */
static const u16 class_size[HEAP_CLASSES] = {
	16,  32,  48,  64,  80,	 96,  112, 128,	 160,  192,  224,
	256, 320, 384, 448, 512, 672, 816, 1024, 1360, 2048,
};

static void list_add(struct heap_page **head, struct heap_page *p)
{
	p->next = *head;
	p->link = head;
	if (p->next)
		p->next->link = &p->next;
	*head = p;
}

static void list_del(struct heap_page *p)
{
	*p->link = p->next;
	if (p->next)
		p->next->link = p->link;
}

static u8 *page_data(const struct heap *h, const struct heap_page *p)
{
	return h->base + (size_t)(p - h->page) * PAGE_SIZE;
}

/* ---- runs of pages ---- */

static struct heap_page **bin_of(struct heap *h, u32 pages)
{
	return &h->runs[31 - __builtin_clz(pages)];
}

static void run_release(struct heap *h, struct heap_page *p, u32 pages)
{
	struct heap_page *after = p + pages, *before = p - 1;

	if (after < h->page + h->pages && after->kind == PAGE_FREE) {
		list_del(after);
		pages += after->run;
	}
	/* a double free shall not find it as a run */
	p->kind = PAGE_FREE;
	if (p > h->page && before->kind == PAGE_FREE) {
		p -= before->run;
		list_del(p);
		pages += before->run;
	}
	p->kind = p[pages - 1].kind = PAGE_FREE;
	p->run = p[pages - 1].run = pages;
	list_add(bin_of(h, pages), p);
}

static struct heap_page *run_find(struct heap *h, u32 pages)
{
	struct heap_page **bin = bin_of(h, pages);

	/* some of the first bin are too short, all of the next are not */
	for (; bin < h->runs + HEAP_BINS; bin++)
		for (struct heap_page *p = *bin; p; p = p->next)
			if (p->run >= pages)
				return p;
	return NULL;
}

static void run_claim(struct heap_page *p, u32 pages, u8 kind)
{
	p[pages - 1].kind = PAGE_INSIDE;
	p->kind = kind;
	p->run = pages;
}

static struct heap_page *run_take(struct heap *h, u32 pages, u8 kind)
{
	struct heap_page *p = run_find(h, pages);
	u32 rest;

	if (!p)
		return NULL;
	list_del(p);
	rest = p->run - pages;
	run_claim(p, pages, kind);
	if (rest) {
		p[pages].kind = PAGE_INSIDE;
		run_release(h, p + pages, rest);
	}
	h->used += pages * PAGE_SIZE;
	return p;
}

/* Makes the run at @p @pages long if the pages behind it are free. */
static bool run_grow(struct heap *h, struct heap_page *p, u32 pages)
{
	struct heap_page *after = p + p->run;
	u32 more = pages - p->run, rest;

	if (after >= h->page + h->pages || after->kind != PAGE_FREE ||
	    after->run < more)
		return false;
	list_del(after);
	rest = after->run - more;
	after->kind = PAGE_INSIDE;
	run_claim(p, pages, PAGE_RUN);
	if (rest)
		run_release(h, p + pages, rest);
	h->used += more * PAGE_SIZE;
	return true;
}

static u32 pages_for(size_t size)
{
	return (u32)((size + PAGE_SIZE - 1) / PAGE_SIZE);
}

/* ---- slots ---- */

static struct heap_page *slots_new(struct heap *h, u8 class)
{
	struct heap_page *p = run_take(h, 1, PAGE_SLOTS);
	size_t size = class_size[class];
	u8 *data;

	if (!p)
		return NULL;
	data = page_data(h, p);
	p->class = class;
	p->live = 0;
	p->free = NULL;
	for (size_t n = PAGE_SIZE / size; n-- > 0;) {
		struct slot *s = (struct slot *)(data + n * size);

		s->next = p->free;
		p->free = s;
	}
	list_add(&h->slots[class], p);
	return p;
}

static void *slot_take(struct heap *h, u8 class)
{
	struct heap_page *p = h->slots[class];
	struct slot *s;

	if (!p) {
		p = slots_new(h, class);
		if (!p)
			return NULL;
	}
	s = p->free;
	p->free = s->next;
	p->live++;
	if (!p->free)
		list_del(p);
	return s;
}

static bool slot_release(struct heap *h, struct heap_page *p, void *data)
{
	struct slot *s = data;

	if (s == p->free || !p->live)
		return false;
	if (!p->free)
		list_add(&h->slots[p->class], p);
	s->next = p->free;
	p->free = s;
	/* the last page of a size stays, for the next one */
	if (!--p->live && (p->next || h->slots[p->class] != p)) {
		list_del(p);
		h->used -= PAGE_SIZE;
		run_release(h, p, 1);
	}
	return true;
}

/* ---- the interface ---- */

bool heap_init(struct heap *h, void *region, size_t size)
{
	u64 start = align_up((u64)(uintptr_t)region, PAGE_SIZE);
	u64 end = align_down((u64)(uintptr_t)region + size, PAGE_SIZE);
	u64 pages, table;

	memset(h, 0, sizeof(*h));
	if (start >= end || (end - start) >> PAGE_SHIFT >= 1u << 31)
		return false;
	pages = (end - start) >> PAGE_SHIFT;
	table = pages_for(pages * sizeof(struct heap_page));
	if (table >= pages)
		return false;
	h->page = (struct heap_page *)(uintptr_t)start;
	h->base = (u8 *)(uintptr_t)start + table * PAGE_SIZE;
	h->pages = (u32)(pages - table);
	memset(h->page, 0, h->pages * sizeof(struct heap_page));
	run_release(h, h->page, h->pages);
	for (u32 units = 0, class = 0; units < ARRAY_SIZE(h->class_of);
	     units++) {
		if (units * 16 > class_size[class])
			class ++;
		h->class_of[units] = (u8) class;
	}
	return true;
}

void *heap_alloc(struct heap *h, size_t size)
{
	struct heap_page *p;
	void *data;

	if (size <= HEAP_SMALL) {
		data = slot_take(h, h->class_of[(size + 15) / 16]);
	} else {
		if (size > (size_t)h->pages * PAGE_SIZE)
			return NULL;
		p = run_take(h, pages_for(size), PAGE_RUN);
		data = p ? page_data(h, p) : NULL;
	}
	h->live += data != NULL;
	return data;
}

/* The page of an allocation at @data, or NULL. */
static struct heap_page *page_of(const struct heap *h, const void *data)
{
	size_t off = (size_t)((const u8 *)data - h->base);
	struct heap_page *p = &h->page[off >> PAGE_SHIFT];

	if (off >> PAGE_SHIFT >= h->pages || off % 16)
		return NULL;
	if (p->kind == PAGE_SLOTS ||
	    (p->kind == PAGE_RUN && !(off % PAGE_SIZE)))
		return p;
	return NULL;
}

bool heap_free(struct heap *h, void *data)
{
	struct heap_page *p = page_of(h, data);

	if (!p)
		return false;
	if (p->kind == PAGE_SLOTS) {
		if (!slot_release(h, p, data))
			return false;
	} else {
		h->used -= p->run * PAGE_SIZE;
		run_release(h, p, p->run);
	}
	h->live--;
	return true;
}

size_t heap_room(const struct heap *h, const void *data)
{
	const struct heap_page *p = page_of(h, data);

	if (!p)
		return 0;
	return p->kind == PAGE_SLOTS ? class_size[p->class]
				     : p->run * PAGE_SIZE;
}

/* True if @size belongs where @data is: neither more nor less than half. */
static bool fits(struct heap *h, const struct heap_page *p, size_t room,
		 size_t size)
{
	if (size > room)
		return p->kind == PAGE_RUN &&
		       size <= (size_t)h->pages * PAGE_SIZE &&
		       run_grow(h, (struct heap_page *)p, pages_for(size));
	return size >= room / 2 || room <= 64;
}

void *heap_resize(struct heap *h, void *data, size_t size)
{
	size_t room = heap_room(h, data);
	void *other;

	if (!room)
		return NULL;
	if (fits(h, page_of(h, data), room, size))
		return data;
	other = heap_alloc(h, size);
	if (!other)
		return size <= room ? data : NULL;
	memcpy(other, data, size < room ? size : room);
	if (!heap_free(h, data))
		return NULL;
	return other;
}
