/* SPDX-License-Identifier: Apache-2.0 */
/* Machines for the tests of plan/: made by the makers themselves, which must not refuse them. */
#pragma once

#include "flow.h"
#include "plan/geometry.h"
#include "plan/topology.h"
#include "support/test.h"

/* `devices` devices: disks with one queue, the last one the entropy device. */
static inline struct shape shape_of(uint32_t vcpus, uint64_t ram, uint32_t devices)
{
	struct shape s = {
		.arch = ARCH_X86_64,
		.vcpus = vcpus,
		.ram = BYTES(ram),
		.n_devices = devices,
	};

	for (uint32_t i = 0; i < devices && i < SHAPE_DEVICES_MAX; i++)
		s.devices[i] = (struct dev_shape){ i + 1 == devices ? DEV_RNG : DEV_BLK, 1 };
	return s;
}

static inline const struct topology *topology_of(const struct shape *s)
{
	const struct topology *t = NULL;
	struct diag d = DIAG_INIT;

	if (failed(topology_plan(s, &d, &t)))
		fail_msg("refused: %s", d.text);
	return t;
}

static inline const struct geometry *geometry_of(const struct shape *s)
{
	const struct topology *t = topology_of(s);
	const struct geometry *g = NULL;
	struct diag d = DIAG_INIT;

	if (failed(geometry_plan(t, &d, &g)))
		fail_msg("refused: %s", d.text);
	topology_free(t);
	return g;
}

/* A refusal with that code and field, and a sentence. */
static inline void assert_refused(err_t e, enum err_code code, const struct diag *d,
				  const char *field)
{
	if (e.code != code)
		fail_msg("%s, expected %s (%s)", err_name(e.code), err_name(code), d->text);
	assert_non_null(d->field);
	assert_string_equal(d->field, field);
	assert_true(d->text[0] != '\0');
}
