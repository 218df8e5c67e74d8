/*
 * Certificates in a directory of the test's own, for servers of TLS: "a" and "b", each signed by
 * itself (a.crt, a.key, …), for localhost and 127.0.0.1, good for two days.
 */
#ifndef SUPPORT_CERTIFICATES_H
#define SUPPORT_CERTIFICATES_H

/* For cmocka_run_group_tests: makes and removes the directory. */
int certificates_make(void **state);
int certificates_remove(void **state);

/* A file of it, whether it is there or not. Valid for three more calls. */
const char *certificates_file(const char *name);

#endif
