/*
 * The keyboard controller's output port and port 92h (IBM PS/2 Technical
 * Reference, System Control Port A; 8042 commands D1h, DDh, F0h-FFh): the A20
 * gate and two ways of reset.
 *
 * The A20 gate masks an address line of the CPU, for the host's accesses too
 * where the hardware does not except them: it stays open, as on the CPUs that
 * have none.
 */
#ifndef CORE_VIRT_KBC_H
#define CORE_VIRT_KBC_H

/* Hooks the ports; once, before the guest runs. @wipe as of power_init(). */
void kbc_init(void (*wipe)(void));

#endif
