/* SPDX-License-Identifier: Apache-2.0 */
/* plan-dump acpi VCPUS DEVICES: the ACPI tables of such a machine, as they lie at MAP_ACPI.
 * plan-dump reset-vector: what lies at MAP_RESET_VECTOR. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"
#include "plan/acpi.h"
#include "plan/map_x86_64.h"
#include "plan/reset_vector.h"

static struct shape shape_of(const char *vcpus, const char *devices)
{
	struct shape s = {
		.arch = ARCH_X86_64,
		.vcpus = (uint32_t)strtoul(vcpus, NULL, 10),
		.ram = BYTES(MIB(128)),
		.n_devices = (uint32_t)strtoul(devices, NULL, 10),
	};

	for (uint32_t i = 0; i < s.n_devices && i < SHAPE_DEVICES_MAX; i++)
		s.devices[i] = (struct dev_shape){ i + 1 == s.n_devices ? DEV_RNG : DEV_BLK, 1 };
	return s;
}

static err_t acpi_put(struct out *o, const struct shape *s, struct diag *d)
{
	const struct topology *t;
	const struct geometry *g;
	err_t e;

	TRY(topology_plan(s, d, &t));
	e = geometry_plan(t, d, &g);
	topology_free(t);
	TRY(e);
	e = acpi_plan(g, o);
	geometry_free(g);
	return e;
}

int main(int argc, char **argv)
{
	static uint8_t bytes[MAP_ACPI_LEN];
	struct out o = out_of(bytes, sizeof bytes);
	struct diag d = DIAG_INIT;
	struct shape s;
	err_t e;

	if (argc == 4 && strcmp(argv[1], "acpi") == 0) {
		s = shape_of(argv[2], argv[3]);
		e = acpi_put(&o, &s, &d);
	} else if (argc == 2 && strcmp(argv[1], "reset-vector") == 0) {
		reset_vector_plan(&o);
		e = out_done(&o);
	} else {
		fputs("usage: plan-dump acpi VCPUS DEVICES | reset-vector\n", stderr);
		return 2;
	}
	if (failed(e)) {
		fprintf(stderr, "plan-dump: %s: %s\n", err_name(e.code), d.text);
		return 1;
	}
	return fwrite(bytes, 1, o.len, stdout) == o.len ? 0 : 1;
}
