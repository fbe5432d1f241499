/* SPDX-License-Identifier: MIT
 * Opening a list on another thread, for programs whose own must not wait for a disk: finding the encoding out may read all of a file. */
#ifndef CAMP_INPUT_LATER_H
#define CAMP_INPUT_LATER_H

#include "input.h"

struct camp_input_later;

/* Starts camp_input_open on a thread, with copies of the options. NULL with err when there is none to be had. */
struct camp_input_later *camp_input_open_later(const struct camp_input_options *options, struct camp_error *err);
/* 0: it goes on. 1: it is done; *input is the caller's, or NULL with err. To be taken once. */
int camp_input_later_take(struct camp_input_later *later, struct camp_input **input, struct camp_error *err);
/* Waits for the errand and frees it, and what nobody took. NULL is fine. In a child that inherited it only memory is freed. */
void camp_input_later_free(struct camp_input_later *later);

#endif
