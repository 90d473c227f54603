/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: what is kept, and the sentence for each thing that is refused. */
#include "plan/config.h"

#include <string.h>

#include "flow.h"
#include "support/test.h"

static struct request smallest(void)
{
	return (struct request){ .kernel = "vmlinux", .cpus = 1, .ram = BYTES(MIB(16)) };
}

static const struct config *accept(const struct request *r)
{
	const struct config *c = NULL;
	struct diag d = DIAG_INIT;

	if (failed(config_validate(r, &d, &c)))
		fail_msg("refused: %s", d.text);
	return c;
}

static void refuse(const struct request *r, const char *sentence)
{
	const struct config *c = NULL;
	struct diag d = DIAG_INIT;
	err_t e = config_validate(r, &d, &c);

	assert_int_equal(e.code, ERR_CONFIG);
	assert_null(c);
	assert_string_equal(d.text, sentence);
	/* nobody has to listen */
	assert_int_equal(config_validate(r, NULL, &c).code, ERR_CONFIG);
}

static void smallest_request(void **state)
{
	struct request r = smallest();
	const struct config *c = accept(&r);
	const struct request *kept = config_request(c);
	struct shape s = config_shape(c);

	(void)state;
	assert_null(kept->name);
	assert_null(kept->initrd);
	assert_string_equal(kept->kernel, "vmlinux");
	assert_string_equal(kept->cmdline, "console=ttyS0 reboot=acpi panic=-1");
	assert_int_equal(kept->n_disks, 0);
	assert_int_equal(s.arch, ARCH_X86_64);
	assert_int_equal(s.vcpus, 1);
	assert_int_equal(s.ram.v, MIB(16));
	assert_int_equal(s.n_devices, 1);
	assert_int_equal(s.devices[0].kind, DEV_RNG);
	assert_int_equal(s.devices[0].queues, 1);
	config_free(c);
}

static void request_is_copied(void **state)
{
	char name[] = "a-Z_0.9", kernel[] = "/k", initrd[] = "/i", cmdline[] = "quiet", disk[] = "/d";
	struct disk_request disks[2] = { { disk, DISK_COW }, { disk, DISK_RO } };
	struct request r = {
		.name = name, .kernel = kernel, .initrd = initrd, .cmdline = cmdline,
		.boot = BOOT_BZIMAGE, .cpus = 64, .ram = BYTES(GIB(5)), .n_disks = 2, .disks = disks,
	};
	const struct config *c = accept(&r);
	const struct request *kept = config_request(c);

	(void)state;
	memset(name, 'x', sizeof name - 1);
	memset(kernel, 'x', sizeof kernel - 1);
	memset(initrd, 'x', sizeof initrd - 1);
	memset(cmdline, 'x', sizeof cmdline - 1);
	memset(disk, 'x', sizeof disk - 1);
	memset(disks, 0, sizeof disks);
	assert_string_equal(kept->name, "a-Z_0.9");
	assert_string_equal(kept->kernel, "/k");
	assert_string_equal(kept->initrd, "/i");
	assert_string_equal(kept->cmdline, "quiet");
	assert_int_equal(kept->boot, BOOT_BZIMAGE);
	assert_int_equal(kept->cpus, 64);
	assert_int_equal(kept->ram.v, GIB(5));
	assert_int_equal(kept->n_disks, 2);
	assert_string_equal(kept->disks[0].path, "/d");
	assert_int_equal(kept->disks[0].mode, DISK_COW);
	assert_int_equal(kept->disks[1].mode, DISK_RO);
	config_free(c);
}

static void empty_command_line_is_kept(void **state)
{
	struct request r = smallest();
	const struct config *c;

	(void)state;
	r.cmdline = "";
	c = accept(&r);
	assert_string_equal(config_request(c)->cmdline, "");
	config_free(c);
}

static void most_disks(void **state)
{
	struct disk_request disks[19];
	struct request r = smallest();
	const struct config *c;
	struct shape s;

	(void)state;
	for (size_t i = 0; i < 19; i++)
		disks[i] = (struct disk_request){ "disk", DISK_RW };
	r.disks = disks;
	r.n_disks = 18;
	c = accept(&r);
	s = config_shape(c);
	assert_int_equal(s.n_devices, 19);
	for (size_t i = 0; i < 18; i++)
		assert_int_equal(s.devices[i].kind, DEV_BLK);
	assert_int_equal(s.devices[18].kind, DEV_RNG);
	config_free(c);
	r.n_disks = 19;
	refuse(&r, "the machine is to have 19 disks, expected at most 18");
	r.n_disks = SIZE_MAX; /* nothing is read */
	refuse(&r, "the machine is to have 18446744073709551615 disks, expected at most 18");
}

static void cpus(void **state)
{
	struct request r = smallest();

	(void)state;
	r.cpus = 64;
	config_free(accept(&r));
	r.cpus = 0;
	refuse(&r, "the machine is to have 0 vCPUs, expected 1 to 64");
	r.cpus = 65;
	refuse(&r, "the machine is to have 65 vCPUs, expected 1 to 64");
	r.cpus = UINT32_MAX;
	refuse(&r, "the machine is to have 4294967295 vCPUs, expected 1 to 64");
}

static void ram(void **state)
{
	static const uint64_t good[] = {
		MIB(16), MIB(16) + KIB(64), GIB(3) - KIB(64), GIB(3), GIB(3) + KIB(64), GIB(5), GIB(1024),
	};
	struct request r = smallest();

	(void)state;
	for (size_t i = 0; i < countof(good); i++) {
		r.ram = BYTES(good[i]);
		config_free(accept(&r));
	}
	r.ram = BYTES(0);
	refuse(&r, "the machine is to have 0 bytes of memory, expected at least 16 MiB (16777216)");
	r.ram = BYTES(MIB(16) - 1);
	refuse(&r, "the machine is to have 16777215 bytes of memory, "
	       "expected at least 16 MiB (16777216)");
	r.ram = BYTES(MIB(16) + 1);
	refuse(&r, "the machine is to have 16777217 bytes of memory, "
	       "expected a multiple of 64 KiB (65536)");
	r.ram = BYTES(GIB(1024) + KIB(64));
	refuse(&r, "the machine is to have 1099511693312 bytes of memory, "
	       "expected at most 1 TiB (1099511627776)");
	r.ram = BYTES(UINT64_MAX);
	refuse(&r, "the machine is to have 18446744073709551615 bytes of memory, "
	       "expected at most 1 TiB (1099511627776)");
}

static void names(void **state)
{
	char name[66];
	struct request r = smallest();

	(void)state;
	memset(name, 'n', sizeof name);
	r.name = name;
	name[64] = '\0';
	config_free(accept(&r));
	name[64] = 'n';
	name[65] = '\0';
	refuse(&r, "the machine's name has more than 64 characters, expected 1 to 64");
	r.name = "";
	refuse(&r, "the machine's name is empty, expected 1 to 64 characters");
	r.name = ".x";
	refuse(&r, "the machine's name '.x' begins with '.', expected a letter, a digit or '_'");
	r.name = "-x";
	refuse(&r, "the machine's name '-x' begins with '-', expected a letter, a digit or '_'");
	r.name = "a/b";
	refuse(&r, "the machine's name has the byte 0x2f at position 2, "
	       "expected letters, digits, '-', '_' and '.' only");
	r.name = "ab\xC3\xA9";
	refuse(&r, "the machine's name has the byte 0xc3 at position 3, "
	       "expected letters, digits, '-', '_' and '.' only");
	r.name = "a\n";
	refuse(&r, "the machine's name has the byte 0x0a at position 2, "
	       "expected letters, digits, '-', '_' and '.' only");
}

static void paths(void **state)
{
	static char longest[4097];
	struct disk_request disks[2] = { { "d", DISK_RO }, { "e", DISK_RO } };
	struct request r = smallest();

	(void)state;
	memset(longest, 'p', 4095);
	r.kernel = r.initrd = disks[1].path = longest;
	r.disks = disks;
	r.n_disks = 2;
	config_free(accept(&r));
	longest[4095] = 'p';
	refuse(&r, "the path of the kernel is longer than 4095 bytes, "
	       "expected that of an ELF vmlinux or a bzImage");
	r.kernel = "k";
	refuse(&r, "the path of the initrd is longer than 4095 bytes, expected the name of a file");
	r.initrd = NULL;
	refuse(&r, "the path of disk 1 is longer than 4095 bytes, expected the name of a file");
	disks[1].path = "disk\xFF";
	refuse(&r, "the path of disk 1 is not UTF-8, expected the name of a file");
	disks[1].path = "";
	refuse(&r, "the path of disk 1 is empty, expected the name of a file");
	disks[1].path = NULL;
	refuse(&r, "the path of disk 1 is missing, expected the name of a file");
	r.initrd = "";
	refuse(&r, "the path of the initrd is empty, expected the name of a file");
	r.kernel = "";
	refuse(&r, "the path of the kernel is empty, expected that of an ELF vmlinux or a bzImage");
	r.kernel = NULL;
	refuse(&r, "the path of the kernel is missing, expected that of an ELF vmlinux or a bzImage");
}

static void command_lines(void **state)
{
	static char line[2049];
	struct request r = smallest();

	(void)state;
	memset(line, 'c', 2047);
	r.cmdline = line;
	config_free(accept(&r));
	line[2047] = 'c';
	refuse(&r, "the kernel's command line is longer than 2047 bytes");
}

static void numbers_of_choices(void **state)
{
	struct disk_request disk = { "d", (enum disk_mode)0 };
	struct request r = smallest();

	(void)state;
	r.disks = &disk;
	r.n_disks = 1;
	refuse(&r, "disk 0 has the mode number 0, expected ro (1), rw (2) or cow (3)");
	disk.mode = (enum disk_mode)4;
	refuse(&r, "disk 0 has the mode number 4, expected ro (1), rw (2) or cow (3)");
	r.boot = (enum boot_method)4;
	refuse(&r, "the boot method has the number 4, expected 0 to 3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(smallest_request),
		cmocka_unit_test(request_is_copied),
		cmocka_unit_test(empty_command_line_is_kept),
		cmocka_unit_test(most_disks),
		cmocka_unit_test(cpus),
		cmocka_unit_test(ram),
		cmocka_unit_test(names),
		cmocka_unit_test(paths),
		cmocka_unit_test(command_lines),
		cmocka_unit_test(numbers_of_choices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
