/* SPDX-License-Identifier: Apache-2.0 */
/* Trusts nobody else with the directory: it must be the user's own and closed to others. Folders
 * in it are believed as far as their locks go. */
#include "edge/lib/run_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "edge/lib/run_name.h"

static err_t root_path(struct diag *d, char *ret, size_t cap)
{
	const char *own = getenv("SPORE_RUNTIME_DIR");
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	int n;

	if (own != NULL && own[0] != '\0')
		n = snprintf(ret, cap, "%s", own);
	else if (geteuid() == 0)
		n = snprintf(ret, cap, "/run/spore");
	else if (xdg != NULL && xdg[0] == '/')
		n = snprintf(ret, cap, "%s/spore", xdg);
	else
		n = snprintf(ret, cap, "/run/user/%u/spore", (unsigned)geteuid());
	if (n < 0 || (size_t)n + RUN_NAME_MAX + 20 >= cap)
		return diag_fail(d, FAIL(ERR_CONFIG), "runtime directory: the path is too long");
	return OK;
}

err_t run_root_open(struct diag *d, char ret_path[RUN_PATH_MAX], fd_t *ret_fd)
{
	owned_fd fd = FD_NONE;
	struct stat st;

	TRY(root_path(d, ret_path, RUN_PATH_MAX));
	if (mkdir(ret_path, 0700) < 0 && errno != EEXIST)
		return errno != ENOENT ? diag_sys(d, FAIL_SYS(errno), "runtime directory: %s", ret_path)
		       : diag_fail(d, FAIL_SYS(ENOENT), "runtime directory: %s: the folder above it is "
				   "missing, expected XDG_RUNTIME_DIR or SPORE_RUNTIME_DIR to name one",
				   ret_path);
	fd.raw = open(ret_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd.raw < 0 || fstat(fd.raw, &st) < 0)
		return diag_sys(d, FAIL_SYS(errno), "runtime directory: %s", ret_path);
	if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		return diag_fail(d, FAIL(ERR_CONFIG), "runtime directory: %s: owner %u and mode %03o, "
				 "expected owner %u and mode 700", ret_path, (unsigned)st.st_uid,
				 (unsigned)st.st_mode & 0777, (unsigned)geteuid());
	*ret_fd = fd_take(&fd);
	return OK;
}

static int lock_file(int fd, int command)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int n;

	do
		n = fcntl(fd, command, &lock);
	while (n < 0 && errno == EINTR);
	return n;
}

/* One claim or clean-up at a time. */
static err_t root_lock(int root, struct diag *d, fd_t *ret_fd)
{
	owned_fd fd = { openat(root, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600) };

	if (fd.raw < 0 || lock_file(fd.raw, F_OFD_SETLKW) < 0)
		return diag_sys(d, FAIL_SYS(errno), "runtime directory: .lock");
	*ret_fd = fd_take(&fd);
	return OK;
}

static bool is_dead(int folder)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	owned_fd fd = { openat(folder, "lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC) };

	if (fd.raw < 0)
		return errno == ENOENT;
	return fcntl(fd.raw, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
}

/* Everything in the folder, then the folder, which is taken: there may be no other descriptor to be
 * had. */
static void folder_clear(int root, fd_t *folder, const char *name)
{
	DIR *dir = fdopendir(folder->raw);
	struct dirent *e;

	while (dir != NULL && (e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			(void)unlinkat(dirfd(dir), e->d_name, 0);
	if (dir != NULL) {
		*folder = FD_NONE;
		(void)closedir(dir);
	}
	(void)unlinkat(root, name, AT_REMOVEDIR);
}

static int folder_open(int root, const char *name)
{
	return openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* With the root lock held: is there a living machine in the folder? Clears it if not. */
static bool folder_lives(int root, const char *name)
{
	owned_fd folder = { folder_open(root, name) };

	if (folder.raw < 0)
		return false;
	if (!is_dead(folder.raw))
		return true;
	folder_clear(root, &folder, name);
	return false;
}

/* Who says it is the owner: for people. 0: nobody. */
static long owner_pid(int root, const char *name)
{
	char text[32] = "";
	owned_fd folder = { folder_open(root, name) };
	owned_fd file = FD_NONE;

	if (folder.raw >= 0)
		file.raw = openat(folder.raw, "pid", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (file.raw < 0 || read(file.raw, text, sizeof text - 1) <= 0)
		return 0;
	return strtol(text, NULL, 10);
}

static const char serve_folder[] = ".serve"; /* no machine can have that name */

static err_t claim_folder(const struct run_claim *c, struct diag *d)
{
	if (!folder_lives(c->root.raw, c->name))
		return mkdirat(c->root.raw, c->name, 0700) == 0
		       ? OK : diag_sys(d, FAIL_SYS(errno), "runtime directory: %s", c->path);
	if (strcmp(c->name, serve_folder) == 0)
		return diag_fail(d, FAIL(ERR_EXISTS), "a supervisor is there already (process %ld)",
				 owner_pid(c->root.raw, c->name));
	return diag_fail(d, FAIL(ERR_EXISTS), "%s: a machine of that name is there already (process "
			 "%ld), expected another name", c->name,
			 owner_pid(c->root.raw, c->name));
}

static err_t write_pid(const struct run_claim *c, struct diag *d)
{
	char pid[32];

	(void)snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
	return run_claim_write(c, "pid", pid, d);
}

static void claim_name(struct run_claim *c, const char *root, const char *name)
{
	(void)snprintf(c->name, sizeof c->name, "%s", name);
	(void)snprintf(c->path, sizeof c->path, "%.*s/%s",
		       (int)(sizeof c->path - sizeof c->name - 2), root, name);
}

static err_t claim_lock(struct run_claim *c, struct diag *d)
{
	c->folder.raw = folder_open(c->root.raw, c->name);
	if (c->folder.raw < 0)
		return diag_sys(d, FAIL_SYS(errno), "runtime directory: %s", c->path);
	c->lock.raw = openat(c->folder.raw, "lock", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (c->lock.raw < 0 || lock_file(c->lock.raw, F_OFD_SETLK) < 0)
		return diag_sys(d, FAIL_SYS(errno), "runtime directory: %s/lock", c->path);
	return write_pid(c, d);
}

/* A name that no folder has: two words, and after some tries a number too. */
static void name_make(int root, char *ret, size_t cap)
{
	for (unsigned attempt = 0; attempt < 1000; attempt++) {
		run_name_make(attempt, ret, cap);
		if (!folder_lives(root, ret))
			return;
	}
}

static void claim_close(struct run_claim *c)
{
	fd_drop(&c->lock);
	fd_drop(&c->folder);
	fd_drop(&c->root);
}

static err_t claim_take(const char *name, struct diag *d, struct run_claim *ret)
{
	__attribute__((cleanup(run_claim_drop))) struct run_claim c = RUN_CLAIM_NONE;
	char root[RUN_PATH_MAX], made[RUN_NAME_MAX + 1];
	owned_fd lock = FD_NONE;
	err_t e;

	TRY(run_root_open(d, root, &c.root));
	TRY(root_lock(c.root.raw, d, &lock));
	if (name == NULL)
		name_make(c.root.raw, made, sizeof made);
	claim_name(&c, root, name != NULL ? name : made);
	TRY(claim_folder(&c, d));
	e = claim_lock(&c, d);
	if (failed(e) && !fd_is_open(c.lock)) /* nor is anything else in there */
		(void)unlinkat(c.root.raw, c.name, AT_REMOVEDIR);
	TRY(e);
	*ret = c;
	c = RUN_CLAIM_NONE;
	return OK;
}

err_t run_claim_take(const char *name, struct diag *d, struct run_claim *ret)
{
	if (name != NULL)
		TRY(run_name_check(name, d));
	return claim_take(name, d, ret);
}

err_t run_claim_take_serve(struct diag *d, struct run_claim *ret)
{
	return claim_take(serve_folder, d, ret);
}

static err_t not_kept(const struct run_claim *c, struct diag *d)
{
	return diag_fail(d, FAIL(ERR_STATE), "runtime directory: %s: is not the folder that was kept",
			 c->path);
}

/* What is there is another, or nothing; else the host does not let us look. */
static err_t cannot_look(const struct run_claim *c, struct diag *d)
{
	if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
		return not_kept(c, d);
	return diag_sys(d, FAIL_SYS(errno), "runtime directory: %s", c->path);
}

static err_t adopt_folder(struct run_claim *c, const fd_t *lock, struct diag *d)
{
	struct stat is, was;

	c->folder.raw = folder_open(c->root.raw, c->name);
	if (c->folder.raw < 0 || fstatat(c->folder.raw, "lock", &is, AT_SYMLINK_NOFOLLOW) != 0 ||
	    fstat(lock->raw, &was) != 0)
		return cannot_look(c, d);
	if (is.st_dev != was.st_dev || is.st_ino != was.st_ino)
		return not_kept(c, d);
	return write_pid(c, d);
}

err_t run_claim_adopt(const char *name, fd_t *lock, struct diag *d, struct run_claim *ret)
{
	__attribute__((cleanup(run_claim_leave))) struct run_claim c = RUN_CLAIM_NONE;
	char root[RUN_PATH_MAX];

	TRY(run_name_check(name, d));
	TRY(run_root_open(d, root, &c.root));
	claim_name(&c, root, name);
	TRY(adopt_folder(&c, lock, d));
	c.lock = fd_take(lock);
	*ret = c;
	c = RUN_CLAIM_NONE;
	return OK;
}

void run_claim_leave(struct run_claim *c)
{
	claim_close(c);
	*c = RUN_CLAIM_NONE;
}

err_t run_claim_write(const struct run_claim *c, const char *file, const char *text, struct diag *d)
{
	char temporary[64];
	size_t n = strlen(text);
	owned_fd fd = FD_NONE;

	(void)snprintf(temporary, sizeof temporary, "%s.new", file);
	fd.raw = openat(c->folder.raw, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd.raw < 0 || write(fd.raw, text, n) != (ssize_t)n ||
	    renameat(c->folder.raw, temporary, c->folder.raw, file) < 0)
		return diag_sys(d, FAIL_SYS(errno), "runtime directory: %s/%s", c->path, file);
	return OK;
}

void run_claim_drop(struct run_claim *c)
{
	bool locked = fd_is_open(c->lock);
	owned_fd lock = FD_NONE;

	/* Its lock first: there may be no other descriptor to be had. Whoever clears the folder and
	 * takes the name in between has another folder. */
	fd_drop(&c->lock);
	if (locked && !failed(root_lock(c->root.raw, NULL, &lock)))
		folder_clear(c->root.raw, &c->folder, c->name);
	claim_close(c);
}

static err_t find(const char *name, const char *lack, struct diag *d, struct run_place *ret)
{
	owned_fd root = FD_NONE, lock = FD_NONE;
	char path[RUN_PATH_MAX];
	fd_t folder;

	TRY(run_root_open(d, path, &root));
	TRY(root_lock(root.raw, d, &lock));
	if (!folder_lives(root.raw, name))
		return diag_fail(d, FAIL(ERR_NOT_FOUND), "%s", lack);
	folder.raw = folder_open(root.raw, name);
	if (folder.raw < 0)
		return diag_sys(d, FAIL_SYS(errno), "runtime directory: %s/%s", path, name);
	ret->folder = folder;
	(void)snprintf(ret->path, sizeof ret->path, "%.*s/%s", RUN_PATH_MAX - RUN_NAME_MAX - 2, path,
		       name);
	return OK;
}

err_t run_find(const char *name, struct diag *d, struct run_place *ret)
{
	char lack[RUN_NAME_MAX + 32];

	TRY(run_name_check(name, d));
	(void)snprintf(lack, sizeof lack, "%s: no such machine", name);
	return find(name, lack, d, ret);
}

err_t run_find_serve(struct diag *d, struct run_place *ret)
{
	return find(serve_folder, "there is no supervisor: start one with `spore serve`", d, ret);
}

bool run_place_is_dead(const struct run_place *p)
{
	return is_dead(p->folder.raw);
}

void run_place_drop(struct run_place *p)
{
	fd_drop(&p->folder);
}

static int name_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static err_t name_append(char ***io_names, size_t *io_n, const char *name, struct diag *d)
{
	char **more = reallocarray(*io_names, *io_n + 1, sizeof **io_names);

	if (more == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "list of machines: out of memory");
	*io_names = more;
	more[*io_n] = strdup(name);
	if (more[*io_n] == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "list of machines: out of memory");
	(*io_n)++;
	return OK;
}

static err_t names_read(int root, DIR *dir, struct diag *d, char ***io_names, size_t *io_n)
{
	struct dirent *e;

	while ((e = readdir(dir)) != NULL)
		if (!failed(run_name_check(e->d_name, NULL)) && folder_lives(root, e->d_name))
			TRY(name_append(io_names, io_n, e->d_name, d));
	return OK;
}

err_t run_list(struct diag *d, char ***ret_names, size_t *ret_n)
{
	owned_fd root = FD_NONE, lock = FD_NONE;
	char path[RUN_PATH_MAX];
	char **names = NULL;
	size_t n = 0;
	DIR *dir;
	err_t e;

	TRY(run_root_open(d, path, &root));
	TRY(root_lock(root.raw, d, &lock));
	dir = fdopendir(root.raw);
	if (dir == NULL)
		return diag_sys(d, FAIL_SYS(errno), "runtime directory: %s", path);
	e = names_read(root.raw, dir, d, &names, &n);
	root = FD_NONE;
	(void)closedir(dir);
	if (failed(e)) {
		while (n != 0)
			free(names[--n]);
		free(names);
		return e;
	}
	if (n != 0)
		qsort(names, n, sizeof *names, name_order);
	*ret_names = names;
	*ret_n = n;
	return OK;
}

void run_socket_path(const char *folder, int folder_fd, const char *file, char *ret, size_t cap)
{
	size_t room = sizeof ((struct sockaddr_un *)NULL)->sun_path;

	if (strlen(folder) + 1 + strlen(file) < room)
		(void)snprintf(ret, cap, "%s/%s", folder, file);
	else
		(void)snprintf(ret, cap, "/proc/self/fd/%d/%s", folder_fd, file);
}
