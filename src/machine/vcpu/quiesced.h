/* SPDX-License-Identifier: Apache-2.0 */
/* The witness that no vCPU runs and none will until somebody resumes them. Made by vcpus_park
 * alone, which waits for each; demanded by whatever reads or writes a vCPU's state, since such a
 * call from another thread would otherwise block for as long as the vCPU runs. */
#pragma once

struct vcpus;

struct quiesced {
	const struct vcpus *parked;
};
