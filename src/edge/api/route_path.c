/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/api/route_path.h"

#include <stdio.h>
#include <string.h>

#include "edge/lib/json_read.h"

void path_trim(const char *path, char ret[static PATH_MAX_HERE])
{
	size_t n;

	(void)snprintf(ret, PATH_MAX_HERE, "/%s", path + strspn(path, "/"));
	n = strlen(ret);
	while (n > 1 && ret[n - 1] == '/')
		ret[--n] = '\0';
}

bool path_matches(const char *route, const char *path, char ret_id[static PATH_ID_MAX])
{
	const char *brace = strstr(route, "{id}");
	size_t fixed, n;

	ret_id[0] = '\0';
	if (brace == NULL)
		return strcmp(route, path) == 0;
	fixed = (size_t)(brace - route);
	if (strncmp(route, path, fixed) != 0)
		return false;
	n = strcspn(path + fixed, "/");
	if (n == 0 || n >= PATH_ID_MAX || strcmp(brace + strlen("{id}"), path + fixed + n) != 0)
		return false;
	memcpy(ret_id, path + fixed, n);
	ret_id[n] = '\0';
	return true;
}

err_t body_read(const char *method, bool may, const char *text, size_t len, struct diag *d,
		json_t **ret)
{
	bool get = strcmp(method, "GET") == 0;
	err_t e;

	*ret = NULL;
	if (get && text != NULL)
		return diag_fail(d, FAIL(ERR_JSON), "GET request cannot have a body.");
	if (!get && !may && text == NULL)
		return diag_fail(d, FAIL(ERR_JSON), "Empty %s request.", method);
	if (text == NULL)
		return OK;
	e = json_text_read(text, len, d, ret);
	if (failed(e))
		diag_prefix(d, "An error occurred when deserializing the json body of a request");
	return e;
}
