/* One program in C for record.py: what it does stands in its arguments, see README.md. */
#define _GNU_SOURCE
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Blocks in an array that doubles. */
typedef struct {
	void **at;
	size_t n, cap;
} Bag;

typedef struct Node {
	struct Node *next;
	uint64_t key;
	char *data;
} Node;

/* A chained hash table that doubles. */
typedef struct {
	Node **bucket;
	size_t n, buckets;
} Map;

typedef struct Entry {
	struct Entry *older, *newer;
	size_t key;
	char *data;
} Entry;

#define RING 8192

typedef struct {
	char name[16], kind[16], by[8];
	double bytes, size, over, held, max, keys, skew, share, period, last, phase, keep, life, rate, onset;
	double *steps;
	size_t step, step_count;
	double used, owed, next;
	size_t seen;
	Bag bag, *bags;
	size_t bag_count;
	Map map;
	Node *chain;
	Entry **entries, *oldest, *newest;
} Part;

static uint64_t state, number;

static double uniform(void) {
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (double)(state >> 11) / 9007199254740992.0;
}

static double gauss(void) { return sqrt(-2 * log(1 - uniform())) * cos(2 * M_PI * uniform()); }

static size_t varied(double size) {
	double v = size * (0.5 + uniform());
	return v < 16 ? 16 : (size_t)v;
}

static void *must(void *p) {
	if (!p) {
		fprintf(stderr, "live: out of memory\n");
		exit(3);
	}
	return p;
}

static char *block(size_t size) {
	number++;
	return memset(must(malloc(size)), 'a', size);
}

static void put(Bag *b, void *p) {
	if (b->n == b->cap) {
		b->cap = b->cap ? 2 * b->cap : 16;
		b->at = must(realloc(b->at, b->cap * sizeof *b->at));
	}
	b->at[b->n++] = p;
}

static void empty(Bag *b) {
	for (size_t i = 0; i < b->n; i++)
		free(b->at[i]);
	free(b->at);
	memset(b, 0, sizeof *b);
}

static void map_put(Map *m, uint64_t key, char *data) {
	if (m->n >= m->buckets) {
		size_t count = m->buckets ? 2 * m->buckets : 64;
		Node **fresh = must(calloc(count, sizeof *fresh));
		for (size_t i = 0; i < m->buckets; i++)
			for (Node *e = m->bucket[i], *next; e; e = next) {
				next = e->next;
				e->next = fresh[e->key % count];
				fresh[e->key % count] = e;
			}
		free(m->bucket);
		m->bucket = fresh;
		m->buckets = count;
	}
	Node *e = must(malloc(sizeof *e));
	*e = (Node){m->bucket[key % m->buckets], key, data};
	m->bucket[key % m->buckets] = e;
	m->n++;
}

static void map_empty(Map *m) {
	for (size_t i = 0; i < m->buckets; i++)
		for (Node *e = m->bucket[i], *next; e; e = next) {
			next = e->next;
			free(e->data);
			free(e);
		}
	free(m->bucket);
	memset(m, 0, sizeof *m);
}

/* Adds one block to what is kept. */
static double keep(Part *p, const char *kind, size_t size) {
	char *data = block(size);
	if (!strcmp(kind, "map")) {
		map_put(&p->map, number * 0x9E3779B97F4A7C15u, data);
	} else if (!strcmp(kind, "records")) {
		Node *e = must(malloc(sizeof *e));
		*e = (Node){p->chain, number, data};
		p->chain = e;
	} else {
		put(&p->bag, data);
	}
	return (double)size;
}

static void drop(Part *p) {
	empty(&p->bag);
	map_empty(&p->map);
	for (Node *next; p->chain; p->chain = next) {
		next = p->chain->next;
		free(p->chain->data);
		free(p->chain);
	}
	p->used = 0;
}

static void base(Part *p, double now) {
	double want = p->bytes * (p->over > 0 ? fmin(1, now / p->over) : 1);
	while (p->used < want)
		p->used += keep(p, p->kind, varied(p->size));
}

static void garbage(Part *p, long requests) {
	size_t ring = (size_t)fmax(1, p->held);
	if (!p->bags)
		p->bags = must(calloc(ring, sizeof *p->bags));
	for (; requests > 0; requests--) {
		Bag *b = &p->bags[p->bag_count++ % ring];
		empty(b);
		for (double i = fmax(1, floor(p->bytes / p->size)); i > 0; i--)
			put(b, block(varied(p->size)));
	}
}

static void unlink_entry(Part *p, Entry *e) {
	*(e->older ? &e->older->newer : &p->oldest) = e->newer;
	*(e->newer ? &e->newer->older : &p->newest) = e->older;
}

static void link_entry(Part *p, Entry *e) {
	e->older = p->newest;
	e->newer = NULL;
	*(p->newest ? &p->newest->newer : &p->oldest) = e;
	p->newest = e;
}

static void cache(Part *p, long requests) {
	if (!p->entries)
		p->entries = must(calloc((size_t)p->keys + 1, sizeof *p->entries));
	for (p->owed += (double)requests * p->share; p->owed >= 1; p->owed--) {
		size_t key = (size_t)(p->keys * pow(uniform(), p->skew));
		Entry *e = p->entries[key];
		if (e) {
			unlink_entry(p, e);
			link_entry(p, e);
			continue;
		}
		e = p->entries[key] = must(malloc(sizeof *e));
		e->key = key;
		e->data = block(varied(p->size));
		link_entry(p, e);
		for (p->used += p->size; p->used > p->max; p->used -= p->size) {
			Entry *old = p->oldest;
			unlink_entry(p, old);
			p->entries[old->key] = NULL;
			free(old->data);
			free(old);
		}
	}
}

static void batch(Part *p, double now) {
	double since = fmod(now + p->phase, p->period);
	if (since >= p->last) {
		if (p->used > 0)
			drop(p);
		return;
	}
	while (p->used < p->bytes * fmin(1, since / (0.3 * p->last)))
		p->used += keep(p, p->kind, varied(p->size));
}

static void fragment(Part *p, double now) {
	if (now < p->next)
		return;
	p->next = now + p->period * (0.7 + 0.6 * uniform());
	Bag fresh = {0};
	for (double total = 0; total < p->bytes;) {
		size_t size = (size_t)(p->size * pow(p->max / p->size, uniform()));
		put(&fresh, block(size));
		total += (double)size;
	}
	for (size_t i = 1; i < fresh.n; i += 2) {
		free(fresh.at[i]);
		fresh.at[i] = NULL;
	}
	size_t ring = (size_t)fmax(1, p->keep);
	if (!p->bags)
		p->bags = must(calloc(ring, sizeof *p->bags));
	Bag *b = &p->bags[p->bag_count++ % ring];
	empty(b);
	*b = fresh;
}

static void warmup(Part *p, double now) {
	for (; p->step < p->step_count && p->steps[2 * p->step] <= now; p->step++)
		for (double left = p->steps[2 * p->step + 1]; left > 0;)
			left -= keep(p, "map", varied(fmin(left, p->size)));
}

static void sessions(Part *p, double now, long requests) {
	if (!p->bags)
		p->bags = must(calloc(RING, sizeof *p->bags));
	for (p->owed += (double)requests * p->share; p->owed >= 1; p->owed--) {
		double life = fmin(7200, -log(1 - uniform()) * p->life);
		put(&p->bags[(size_t)(now + life) % RING], block(varied(p->bytes)));
	}
	for (; p->seen < (size_t)now; p->seen++)
		empty(&p->bags[p->seen % RING]);
}

static void pool(Part *p, double load) {
	double want = fmin(p->max, p->keys * load * exp(0.4 * gauss()));
	while ((double)p->bag.n < want)
		put(&p->bag, block((size_t)p->size));
}

static void reload(Part *p, double now) {
	if (now < p->next)
		return;
	p->next = now + p->period;
	Map fresh = {0};
	for (double total = 0; total < p->bytes;) {
		size_t size = varied(p->size);
		map_put(&fresh, number, block(size));
		total += (double)size;
	}
	map_empty(&p->map);
	p->map = fresh;
}

static void lines(Part *p, long requests) {
	for (long i = (long)((double)requests * p->share); i >= 0; i--) {
		size_t size = varied(p->size);
		if (p->used + (double)size > (double)p->bag.cap) {
			p->bag.cap = (size_t)(2 * (p->used + (double)size));
			p->bag.at = must(realloc(p->bag.at, p->bag.cap));
		}
		memset((char *)p->bag.at + (size_t)p->used, 'l', size);
		p->used += (double)size;
	}
	if (p->used > p->max) {
		free(p->bag.at);
		p->bag = (Bag){0};
		p->used = 0;
	}
}

static void leak(Part *p, double now, double dt, double load) {
	if (now < p->onset)
		return;
	p->owed += p->rate * dt * (strcmp(p->by, "work") ? 1 : load);
	if (p->next <= 0)
		p->next = (double)varied(p->size);
	while (p->owed >= p->next) {
		p->owed -= keep(p, p->kind, (size_t)p->next);
		p->next = (double)varied(p->size);
	}
}

static void step(Part *p, double now, double dt, double load, long requests) {
	const char *name = p->name;
	if (!strcmp(name, "base")) base(p, now);
	else if (!strcmp(name, "garbage")) garbage(p, requests);
	else if (!strcmp(name, "cache")) cache(p, requests);
	else if (!strcmp(name, "batch")) batch(p, now);
	else if (!strcmp(name, "fragment")) fragment(p, now);
	else if (!strcmp(name, "warmup")) warmup(p, now);
	else if (!strcmp(name, "sessions")) sessions(p, now, requests);
	else if (!strcmp(name, "pool")) pool(p, load);
	else if (!strcmp(name, "reload")) reload(p, now);
	else if (!strcmp(name, "log")) lines(p, requests);
	else if (!strcmp(name, "leak")) leak(p, now, dt, load);
}

static void read_steps(Part *p, char *text) {
	for (char *rest; *text; text = rest) {
		p->steps = must(realloc(p->steps, (p->step_count + 1) * 2 * sizeof *p->steps));
		p->steps[2 * p->step_count] = strtod(text, &rest);
		p->steps[2 * p->step_count + 1] = strtod(rest + 1, &rest);
		p->step_count++;
		if (*rest == '+')
			rest++;
	}
}

static void read_setting(Part *p, const char *key, char *text) {
	struct {
		const char *key;
		double *value;
	} known[] = {{"bytes", &p->bytes}, {"size", &p->size},	 {"over", &p->over},	 {"held", &p->held},   {"max", &p->max},
		     {"keys", &p->keys},   {"skew", &p->skew},	 {"share", &p->share},	 {"period", &p->period}, {"last", &p->last},
		     {"phase", &p->phase}, {"keep", &p->keep},	 {"life", &p->life},	 {"rate", &p->rate},   {"onset", &p->onset}};
	if (!strcmp(key, "kind"))
		snprintf(p->kind, sizeof p->kind, "%s", text);
	else if (!strcmp(key, "by"))
		snprintf(p->by, sizeof p->by, "%s", text);
	else if (!strcmp(key, "steps"))
		read_steps(p, text);
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (!strcmp(key, known[i].key))
			*known[i].value = strtod(text, NULL);
}

static Part read_part(char *argument, char *colon) {
	Part p = {0};
	*colon = 0;
	snprintf(p.name, sizeof p.name, "%s", argument);
	for (char *pair = strtok(colon + 1, ","); pair; pair = strtok(NULL, ",")) {
		char *equals = strchr(pair, '=');
		if (equals) {
			*equals = 0;
			read_setting(&p, pair, equals + 1);
		}
	}
	return p;
}

static double seconds(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
	static Part parts[32];
	static unsigned char curve[65536];
	size_t count = 0, curve_length = 0;
	double factor = 1, first = 0, rate = 1, tick = 1, until = 0, start = seconds(), before = 0, owed = 0;
	for (int i = 1; i < argc; i++) {
		char *colon = strchr(argv[i], ':'), *equals = strchr(argv[i], '=');
		if (colon && equals && colon < equals && count < 32) parts[count++] = read_part(argv[i], colon);
		else if (!strncmp(argv[i], "factor=", 7)) factor = strtod(equals + 1, NULL);
		else if (!strncmp(argv[i], "from=", 5)) first = strtod(equals + 1, NULL);
		else if (!strncmp(argv[i], "rate=", 5)) rate = strtod(equals + 1, NULL);
		else if (!strncmp(argv[i], "tick=", 5)) tick = strtod(equals + 1, NULL);
		else if (!strncmp(argv[i], "until=", 6)) until = strtod(equals + 1, NULL);
		else if (!strncmp(argv[i], "seed=", 5)) state = strtoull(equals + 1, NULL, 10) * 0x9E3779B97F4A7C15u + 1;
		else if (!strncmp(argv[i], "load=", 5)) {
			FILE *f = must(fopen(equals + 1, "rb"));
			curve_length = fread(curve, 1, sizeof curve, f);
			fclose(f);
		}
	}
	while (before < until && curve_length) {
		double now = (seconds() - start) * factor, dt = now - before;
		size_t at = (size_t)(first + now);
		double load = curve[at < curve_length ? at : curve_length - 1] / 32.0;
		before = now;
		owed = fmin(owed + rate * load * dt, 10 * rate + 10);
		long requests = (long)owed;
		owed -= (double)requests;
		for (size_t i = 0; i < count; i++)
			step(&parts[i], now, dt, load, requests);
		struct timespec pause = {0, (long)(tick / factor * 1e9)};
		nanosleep(&pause, NULL);
	}
	return 0;
}
