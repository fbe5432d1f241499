/* SPDX-License-Identifier: MIT */
#include "xml.h"

#include <stdlib.h>
#include <string.h>

#include "libexpat.h"

#define PIECE 65536

struct camp_xml {
  const struct camp_archive *zip;
  const struct camp_archive_part *part;
  struct camp_archive_stream *stream;
  XML_Parser parser;
  const struct camp_xml_handler *handler;
  void *data;
  struct camp_error err;
  int depth;
  int failed;
  long long fed;
};

static const char *local_name(const char *name) {
  const char *colon = strchr(name, ':');
  return colon != NULL ? colon + 1 : name;
}

const char *camp_xml_attribute(const char *const *attributes, const char *name) {
  for (; attributes[0] != NULL; attributes += 2)
    if (strcmp(local_name(attributes[0]), name) == 0) return attributes[1];
  return NULL;
}

struct camp_error *camp_xml_fail(struct camp_xml *xml) {
  if (!xml->failed) XML_StopParser(xml->parser, XML_FALSE);
  xml->failed = 1;
  return &xml->err;
}

static void on_start(void *data, const XML_Char *name, const XML_Char **attributes) {
  struct camp_xml *xml = data;
  if (xml->failed) return;
  if (++xml->depth > CAMP_XML_DEPTH_MAX) {
    camp_fail(camp_xml_fail(xml), CAMP_INVALID, 0, "%s: its part %.60s is nested more than %d levels deep, as in no workbook", xml->zip->path,
              xml->part->name, CAMP_XML_DEPTH_MAX);
    return;
  }
  xml->handler->start(xml->data, xml, xml->depth, local_name(name), (const char *const *)attributes);
}

static void on_end(void *data, const XML_Char *name) {
  struct camp_xml *xml = data;
  (void)name;
  if (xml->failed) return;
  xml->handler->end(xml->data, xml, xml->depth);
  xml->depth--;
}

static void on_text(void *data, const XML_Char *text, int length) {
  struct camp_xml *xml = data;
  if (!xml->failed) xml->handler->text(xml->data, xml, text, (size_t)length);
}

static void on_doctype(void *data, const XML_Char *name, const XML_Char *system_id, const XML_Char *public_id, int has_subset) {
  struct camp_xml *xml = data;
  (void)name, (void)system_id, (void)public_id, (void)has_subset;
  if (!xml->failed)
    camp_fail(camp_xml_fail(xml), CAMP_INVALID, 0, "%s: its part %.60s has a document type declaration, which workbooks must not have; it is not read",
              xml->zip->path, xml->part->name);
}

struct camp_xml *camp_xml_open(const struct camp_archive *zip, const struct camp_archive_part *part, const struct camp_xml_handler *handler, void *data,
                               struct camp_error *err) {
  if (camp_expat_load(err) != 0) return NULL;
  struct camp_xml *xml = calloc(1, sizeof *xml);
  if (xml == NULL) {
    camp_fail_nomem(err);
    return NULL;
  }
  xml->zip = zip;
  xml->part = part;
  xml->handler = handler;
  xml->data = data;
  xml->stream = camp_archive_start(zip, part, err);
  if (xml->stream == NULL) goto failed;
  xml->parser = XML_ParserCreate(NULL);
  if (xml->parser == NULL) {
    camp_fail_nomem(err);
    goto failed;
  }
  XML_SetUserData(xml->parser, xml);
  XML_SetElementHandler(xml->parser, on_start, on_end);
  XML_SetStartDoctypeDeclHandler(xml->parser, on_doctype);
  if (handler->text != NULL) XML_SetCharacterDataHandler(xml->parser, on_text);
  return xml;
failed:
  camp_xml_close(xml);
  return NULL;
}

void camp_xml_close(struct camp_xml *xml) {
  if (xml == NULL) return;
  camp_archive_stop(xml->stream);
  if (xml->parser != NULL) XML_ParserFree(xml->parser);
  free(xml);
}

static int fail_parse(struct camp_xml *xml, struct camp_error *err) {
  const enum XML_Error code = XML_GetErrorCode(xml->parser);
  if (xml->failed) {
    *err = xml->err;
    return -1;
  }
  if (code == XML_ERROR_NO_MEMORY) return camp_fail_nomem(err);
  return camp_fail(err, CAMP_INVALID, 0, "%s: its part %.60s is damaged: line %lu: %.60s", xml->zip->path, xml->part->name,
                   (unsigned long)XML_GetCurrentLineNumber(xml->parser), XML_ErrorString(code));
}

int camp_xml_step(struct camp_xml *xml, size_t bytes, struct camp_error *err) {
  const long long until = xml->fed + (long long)bytes;
  do {
    void *room = XML_GetBuffer(xml->parser, PIECE);
    if (room == NULL) return camp_fail_nomem(err);
    const ptrdiff_t got = camp_archive_read(xml->stream, room, PIECE, err);
    if (got < 0) return -1;
    xml->fed += got;
    if (XML_ParseBuffer(xml->parser, (int)got, got == 0) != XML_STATUS_OK) return fail_parse(xml, err);
    if (got == 0) return 0;
    if (xml->fed - (long long)XML_GetCurrentByteIndex(xml->parser) > (long long)(CAMP_XML_TAG_MAX + PIECE))
      return camp_fail(err, CAMP_INVALID, 0, "%s: its part %.60s has a tag or comment of more than %zu bytes, as no workbook has", xml->zip->path,
                       xml->part->name, CAMP_XML_TAG_MAX);
  } while (xml->fed < until);
  return 1;
}

const char *camp_xml_version(struct camp_error *err) {
  if (camp_expat_load(err) != 0) return NULL;
  const char *text = XML_ExpatVersion(); /* "expat_2.5.0" */
  return strncmp(text, "expat_", 6) == 0 ? text + 6 : text;
}
