/* SPDX-License-Identifier: Apache-2.0 */
/* An image is the proof that a file was judged: nobody else can make one. */
/* EXPECT: incomplete (type|definition)|undefined type|storage size */
#include "plan/image.h"

const struct snap_head *head(const struct image *i);

const struct snap_head *head(const struct image *i)
{
#ifdef MISUSE
	return &i->head;
#else
	return image_head(i);
#endif
}
