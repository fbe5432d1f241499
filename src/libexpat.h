/* SPDX-License-Identifier: MIT
 * What is used of Expat, which is loaded when the first workbook is read (library.h). For xml.c alone. */
#ifndef CAMP_LIBEXPAT_H
#define CAMP_LIBEXPAT_H

#include <expat.h>

#include "library.h"

#define CAMP_EXPAT_FUNCTIONS(X) X(XML_ErrorString) X(XML_ExpatVersion) X(XML_GetBuffer) X(XML_GetCurrentByteIndex) X(XML_GetCurrentLineNumber) X(XML_GetErrorCode) \
   X(XML_ParseBuffer) X(XML_ParserCreate) X(XML_ParserFree) X(XML_SetCharacterDataHandler) X(XML_SetElementHandler) \
   X(XML_SetStartDoctypeDeclHandler) X(XML_SetUserData) X(XML_StopParser)

/* Expat 2.9 calls the positions deprecated, for forms with 64 bits that older releases do not have. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
struct camp_expat {
  CAMP_EXPAT_FUNCTIONS(CAMP_FUNCTION_MEMBER)
};
#pragma GCC diagnostic pop

/* Its functions; none before camp_expat_load. */
extern struct camp_expat camp_expat;

/* As camp_library_load. */
int camp_expat_load(struct camp_error *err);

#define XML_ErrorString camp_expat.XML_ErrorString
#define XML_ExpatVersion camp_expat.XML_ExpatVersion
#define XML_GetBuffer camp_expat.XML_GetBuffer
#define XML_GetCurrentByteIndex camp_expat.XML_GetCurrentByteIndex
#define XML_GetCurrentLineNumber camp_expat.XML_GetCurrentLineNumber
#define XML_GetErrorCode camp_expat.XML_GetErrorCode
#define XML_ParseBuffer camp_expat.XML_ParseBuffer
#define XML_ParserCreate camp_expat.XML_ParserCreate
#define XML_ParserFree camp_expat.XML_ParserFree
#define XML_SetCharacterDataHandler camp_expat.XML_SetCharacterDataHandler
#define XML_SetElementHandler camp_expat.XML_SetElementHandler
#define XML_SetStartDoctypeDeclHandler camp_expat.XML_SetStartDoctypeDeclHandler
#define XML_SetUserData camp_expat.XML_SetUserData
#define XML_StopParser camp_expat.XML_StopParser

#endif
