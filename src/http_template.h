/* SPDX-License-Identifier: MIT
 * What http_template.c needs from http.c and http_request.c. */
#ifndef CAMP_HTTP_TEMPLATE_H
#define CAMP_HTTP_TEMPLATE_H

#include "http.h"

/* Takes the draft out of the engine if it passes the checks; else NULL with err, and it is gone. */
struct camp_request *camp_http_checked(struct camp_http *http, struct camp_error *err);
/* Submits a draft that needs no check; otherwise as camp_http_submit. */
int camp_http_send(struct camp_http *http, uint64_t *id, struct camp_error *err);
/* Makes a new draft like another request, except for its body. 0, or -1 when out of memory. */
int camp_request_copy(struct camp_request *request, const struct camp_request *other);

#endif
