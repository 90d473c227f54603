/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/lib/http_client.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "edge/lib/fault.h"
#include "edge/lib/json_read.h"

enum { REPLY_MAX = 1 << 23, CONNECT_MS = 5000 };

/* Written once, before anybody reads it. */
static struct curl_calls {
	void *module;
	__typeof__(curl_global_init) *global_init;
	__typeof__(curl_easy_init) *init;
	CURLcode (*setopt)(CURL *, CURLoption, ...);
	CURLcode (*getinfo)(CURL *, CURLINFO, ...);
	__typeof__(curl_easy_perform) *perform;
	__typeof__(curl_easy_cleanup) *cleanup;
	__typeof__(curl_easy_reset) *reset;
	__typeof__(curl_easy_strerror) *text;
	__typeof__(curl_slist_append) *append;
	__typeof__(curl_slist_free_all) *free_all;
} curl;
static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static bool symbols_load(struct curl_calls *c)
{
	const struct { const char *name; void *at; } wanted[] = {
		{ "curl_global_init", &c->global_init }, { "curl_easy_init", &c->init },
		{ "curl_easy_setopt", &c->setopt }, { "curl_easy_getinfo", &c->getinfo },
		{ "curl_easy_perform", &c->perform }, { "curl_easy_cleanup", &c->cleanup },
		{ "curl_easy_reset", &c->reset }, { "curl_easy_strerror", &c->text },
		{ "curl_slist_append", &c->append }, { "curl_slist_free_all", &c->free_all },
	};

	for (size_t i = 0; i < countof(wanted); i++) {
		void *symbol = dlsym(c->module, wanted[i].name);

		if (symbol == NULL)
			return false;
		memcpy(wanted[i].at, &symbol, sizeof symbol);
	}
	return true;
}

static void curl_load(void)
{
	static const char *const names[] = { "libcurl-gnutls.so.4", "libcurl.so.4" };

	for (size_t i = 0; i < countof(names); i++) {
		struct curl_calls c = { .module = dlopen(names[i], RTLD_NOW | RTLD_LOCAL) };

		if (c.module == NULL)
			continue;
		if (symbols_load(&c) && c.global_init(CURL_GLOBAL_NOTHING) == CURLE_OK) {
			curl = c;
			return;
		}
		(void)dlclose(c.module);
	}
}

struct http_client {
	CURL *easy;
	char *socket;
};

err_t http_client_open(const char *socket, struct diag *d, struct http_client **ret)
{
	struct http_client *c;

	(void)pthread_once(&curl_once, curl_load);
	if (curl.module == NULL)
		return diag_fail(d, FAIL(ERR_HOST_PACKAGE), "libcurl is missing, expected "
				 "libcurl-gnutls.so.4: apt-get install libcurl3-gnutls");
	c = calloc(1, sizeof *c);
	if (c == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "%s: out of memory", socket);
	c->socket = strdup(socket);
	c->easy = curl.init();
	if (c->socket == NULL || c->easy == NULL) {
		http_client_close(c);
		return diag_fail(d, FAIL(ERR_NOMEM), "%s: out of memory", socket);
	}
	*ret = c;
	return OK;
}

void http_client_close(struct http_client *c)
{
	if (c == NULL)
		return;
	if (c->easy != NULL)
		curl.cleanup(c->easy);
	free(c->socket);
	free(c);
}

struct reply {
	const struct http_request *request;
	char *text;
	size_t len;
};

static size_t on_body(char *bytes, size_t one, size_t n, void *reply)
{
	struct reply *r = reply;
	char *more;

	(void)one;
	if (n > REPLY_MAX - r->len)
		return 0;
	more = realloc(r->text, r->len + n + 1);
	if (more == NULL)
		return 0;
	memcpy(more + r->len, bytes, n);
	r->text = more;
	r->len += n;
	return n;
}

static size_t on_header(char *bytes, size_t one, size_t n, void *reply)
{
	struct reply *r = reply;
	uint64_t done, of;
	char line[96];

	(void)one;
	(void)snprintf(line, sizeof line, "%.*s", n < sizeof line ? (int)n : (int)sizeof line - 1,
		       bytes);
	if (r->request->progress != NULL &&
	    sscanf(line, "Spore-Progress: %" SCNu64 "/%" SCNu64, &done, &of) == 2)
		r->request->progress(r->request->ctx, done, of);
	return n;
}

static void transfer_setup(struct http_client *c, struct reply *r, const char *body,
			   struct curl_slist *headers)
{
	char url[256];

	curl.reset(c->easy);
	(void)snprintf(url, sizeof url, "http://localhost%s", r->request->path);
	(void)curl.setopt(c->easy, CURLOPT_UNIX_SOCKET_PATH, c->socket);
	(void)curl.setopt(c->easy, CURLOPT_URL, url);
	(void)curl.setopt(c->easy, CURLOPT_PROXY, "");
	(void)curl.setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
	(void)curl.setopt(c->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	(void)curl.setopt(c->easy, CURLOPT_TIMEOUT_MS, r->request->timeout_ms);
	(void)curl.setopt(c->easy, CURLOPT_CUSTOMREQUEST, r->request->method);
	(void)curl.setopt(c->easy, CURLOPT_HTTPHEADER, headers);
	if (body != NULL)
		(void)curl.setopt(c->easy, CURLOPT_POSTFIELDS, body);
	(void)curl.setopt(c->easy, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl.setopt(c->easy, CURLOPT_WRITEDATA, r);
	(void)curl.setopt(c->easy, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl.setopt(c->easy, CURLOPT_HEADERDATA, r);
}

static err_t reply_read(struct http_client *c, const struct reply *r, struct diag *d,
			json_t **ret_body)
{
	owned_json body = NULL;
	char otherwise[64];
	long code = 0;

	(void)curl.getinfo(c->easy, CURLINFO_RESPONSE_CODE, &code);
	if (r->len != 0 && failed(json_text_read(r->text, r->len, NULL, &body)))
		return diag_fail(d, FAIL(ERR_REMOTE), "the monitor answered with something that is "
				 "not JSON (HTTP status %ld)", code);
	if (code != 200 && code != 204) {
		(void)snprintf(otherwise, sizeof otherwise,
			       "the monitor answered with HTTP status %ld", code);
		return fault_read(body, otherwise, d);
	}
	*ret_body = take_ptr(body);
	return OK;
}

static err_t transfer_run(struct http_client *c, struct reply *r, const char *text,
			  struct curl_slist *headers, struct diag *d, json_t **ret_body)
{
	CURLcode code;

	transfer_setup(c, r, text, headers);
	code = curl.perform(c->easy);
	if (code == CURLE_COULDNT_CONNECT)
		return diag_fail(d, FAIL(ERR_NOT_FOUND), "%s: nobody listens there", c->socket);
	if (code != CURLE_OK)
		return diag_fail(d, FAIL(ERR_REMOTE), "%s: no answer: %s", c->socket,
				 curl.text(code));
	return reply_read(c, r, d, ret_body);
}

err_t http_client_call(struct http_client *c, const struct http_request *r, struct diag *d,
		       json_t **ret_body)
{
	struct reply reply = { .request = r };
	owned_heap char *text = r->body != NULL ? json_dumps(r->body, JSON_COMPACT) : NULL;
	struct curl_slist *headers = curl.append(NULL, "Content-Type: application/json");
	err_t e;

	if (r->progress != NULL)
		headers = curl.append(headers, "Spore-Progress: 1");
	/* Nobody waits for a "100 Continue" here. */
	headers = curl.append(headers, "Expect:");
	e = transfer_run(c, &reply, text, headers, d, ret_body);
	curl.free_all(headers);
	free(reply.text);
	return e;
}
