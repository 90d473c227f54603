/* SPDX-License-Identifier: Apache-2.0 */
/* Device state in words. */
#include "edge/lib/inspect.h"

#define NUMBER(field) put_number(j, #field, (int64_t)v->field)
#define HEX(field) put_hex(j, #field, v->field)
#define SET(key, value) ((void)json_object_set_new(j, (key), (value)))

static json_t *queue(const struct queue_state *v)
{
	json_t *j = json_object();

	NUMBER(max_size); NUMBER(size);
	SET("ready", json_boolean(v->ready));
	put_hex(j, "desc", v->desc.v);
	put_hex(j, "driver", v->driver.v);
	put_hex(j, "device", v->device.v);
	NUMBER(next_avail); NUMBER(next_used);
	return j;
}

static json_t *disk_file(const struct disk_file *v)
{
	json_t *j = json_object();

	SET("stored", json_boolean(v->stored));
	NUMBER(mtime_nsec); HEX(dev); HEX(ino); NUMBER(size); NUMBER(mtime_sec);
	SET("path", json_string(v->path));
	return j;
}

static void blk(json_t *j, const struct blk_state *v)
{
	put_number(j, "mode", (int)v->mode);
	put_number(j, "capacity", (int64_t)v->capacity.v);
	NUMBER(layer_cluster);
	SET("disk", disk_file(&v->base));
	SET("layer", disk_file(&v->layer));
	put_bytes(j, "layer_map", v->layer_map, v->layer_map_len);
}

json_t *inspect_device(const struct device_state *dev)
{
	const struct transport_state *v = &dev->transport;
	json_t *j = json_object(), *queues = json_array();

	SET("kind", json_string(dev_kind_word(dev->kind)));
	NUMBER(status); NUMBER(device_features_sel); NUMBER(driver_features_sel);
	NUMBER(queue_sel); NUMBER(interrupt_status); NUMBER(config_generation);
	HEX(acked_features);
	for (uint32_t i = 0; i < dev->n_queues; i++)
		(void)json_array_append_new(queues, queue(&dev->queues[i]));
	SET("queues", queues);
	put_bytes(j, "config", dev->config, dev->config_len);
	switch (dev->kind) {
	case DEV_BLK:
		blk(j, &dev->blk);
		return j;
	case DEV_RNG:
		return j;
	}
	unreachable_by_type();
}

json_t *inspect_serial(const struct serial_state *v)
{
	json_t *j = json_object();

	NUMBER(ier); NUMBER(iir); NUMBER(fcr); NUMBER(lcr); NUMBER(lsr); NUMBER(mcr); NUMBER(msr);
	NUMBER(scr); NUMBER(dll); NUMBER(dlm); NUMBER(thre_pending); NUMBER(rx_len);
	put_bytes(j, "rx", v->rx, v->rx_len);
	return j;
}
