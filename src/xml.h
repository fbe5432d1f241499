/* SPDX-License-Identifier: MIT
 * Reads an XML part of an archive piece by piece with Expat. XML is not trusted: a document type declaration, by which a few bytes can
 * become gigabytes, ends the reading, and so do very long tags and very deep nesting. Names come without their namespace prefix. */
#ifndef CAMP_XML_H
#define CAMP_XML_H

#include <stddef.h>

#include "error.h"
#include "archive.h"

#define CAMP_XML_DEPTH_MAX 128
#define CAMP_XML_TAG_MAX ((size_t)1 << 20) /* bytes of a tag or a comment */

struct camp_xml;

/* What a reader is told. `depth` is 1 for the root. A function that cannot go on calls camp_xml_fail; it is not called again. */
struct camp_xml_handler {
  void (*start)(void *data, struct camp_xml *xml, int depth, const char *name, const char *const *attributes);
  void (*end)(void *data, struct camp_xml *xml, int depth);
  void (*text)(void *data, struct camp_xml *xml, const char *text, size_t length); /* may be NULL */
};

/* NULL with err; the archive and `data` must outlive it. */
struct camp_xml *camp_xml_open(const struct camp_archive *zip, const struct camp_archive_part *part, const struct camp_xml_handler *handler, void *data,
                               struct camp_error *err);
/* Reads about `bytes` more. Returns 1 if there is more, 0 at the end, -1. */
int camp_xml_step(struct camp_xml *xml, size_t bytes, struct camp_error *err);
/* NULL is allowed. */
void camp_xml_close(struct camp_xml *xml);

/* Version of Expat; NULL if it is not available. */
const char *camp_xml_version(struct camp_error *err);

/* For handlers: the error to give while camp_xml_step runs; reading ends after the handler returned. */
struct camp_error *camp_xml_fail(struct camp_xml *xml);
/* The value of the attribute of that name, whatever its prefix; NULL if there is none. */
const char *camp_xml_attribute(const char *const *attributes, const char *name);

#endif
