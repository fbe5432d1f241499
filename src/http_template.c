/* SPDX-License-Identifier: MIT
 * A request to be sent many times with other bodies and time limits: filled in and checked once, copied for each. It also has the expected
 * answer, so that thousands of calls need not parse each answer. */
#include <stdlib.h>
#include <string.h>

#include "http_private.h"
#include "http_template.h"

#define MOST_PATTERN ((size_t)8 * 1024)
#define MOST_FREE ((size_t)255)
#define LONGEST_SECONDS (7 * 86400.0)

struct camp_template {
  struct camp_request *request; /* without a body */
  uint64_t number;              /* unique in this process */
  int status;                   /* of the expected answer; 0: none is expected */
  int has_free;                 /* the platform puts a text between `before` and `after`; else `before` is the whole answer */
  struct camp_buf before, after;
};

struct camp_template *camp_http_template(struct camp_http *http, struct camp_error *err) {
  static atomic_ullong numbers;
  struct camp_request *request = camp_http_checked(http, err);
  if (request == NULL) return NULL;
  struct camp_template *template = calloc(1, sizeof *template);
  if (template == NULL || request->source != NULL || request->form != NULL || request->has_body || request->save.fd >= 0) {
    if (template == NULL) camp_fail_nomem(err);
    else camp_fail(err, CAMP_USAGE, 0, "a template must not have a body, nor save its answers");
    free(template);
    camp_request_free(request);
    return NULL;
  }
  template->request = request;
  template->number = atomic_fetch_add(&numbers, 1) + 1;
  camp_buf_init(&template->before, MOST_PATTERN);
  camp_buf_init(&template->after, MOST_PATTERN);
  return template;
}

void camp_template_free(struct camp_template *template) {
  if (template == NULL) return;
  camp_request_free(template->request);
  camp_buf_clear(&template->before);
  camp_buf_clear(&template->after);
  free(template);
}

int camp_template_expect(struct camp_template *template, int status, const char *before, size_t before_length, const char *after,
                         size_t after_length, struct camp_error *err) {
  template->status = 0;
  template->before.length = template->after.length = 0;
  if (camp_buf_full(&template->before, before_length) || camp_buf_full(&template->after, after_length))
    return camp_fail(err, CAMP_USAGE, 0, "the expected answer is too long");
  if (camp_buf_append(&template->before, before, before_length) != 0 || camp_buf_append(&template->after, after, after_length) != 0)
    return camp_fail_nomem(err);
  template->has_free = after != NULL;
  template->status = status;
  return 0;
}

/* True if the text may be what the platform puts in between: only characters that never need escaping, in JSON or elsewhere. */
static int is_name(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)text[i], lower = c | 0x20;
    if (!((c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z') || c == '_' || c == '-')) return 0;
  }
  return length > 0 && length <= MOST_FREE;
}

int camp_template_knows(const struct camp_template *template, const struct camp_http_result *result, const char **text, size_t *length) {
  const struct camp_buf *before = &template->before, *after = &template->after;
  if (result->like != template->number || template->status == 0 || result->status != template->status || result->error.kind != CAMP_OK ||
      result->sent != CAMP_SENT_YES || result->guard || result->body == NULL ||
      result->bytes_sent < result->bytes_expected) /* a success reported before the whole body was sent does not count */
    return 0;
  size_t fixed = before->length + after->length;
  if (result->body_length < fixed || memcmp(result->body, before->data, before->length) != 0) return 0;
  if (!template->has_free) {
    *text = NULL;
    *length = 0;
    return result->body_length == before->length;
  }
  *text = result->body + before->length;
  *length = result->body_length - fixed;
  return memcmp(*text + *length, after->data, after->length) == 0 && is_name(*text, *length);
}

int camp_http_submit_like(struct camp_http *http, const struct camp_template *template, struct camp_source *source, double total,
                          uint64_t *id, struct camp_error *err) {
  if (!(total > 0 && total <= LONGEST_SECONDS)) {
    camp_source_free(source);
    return camp_fail(err, CAMP_USAGE, 0, "a time limit must be above 0 and no more than 7 days");
  }
  struct camp_request *request = camp_http_draft(http);
  if (request == NULL || camp_request_copy(request, template->request) != 0) {
    camp_source_free(source);
    return camp_fail_nomem(err);
  }
  request->source = source;
  request->options.total = total;
  request->like = template->number;
  return camp_http_send(http, id, err);
}
