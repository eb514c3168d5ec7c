/*
 * How an OS ends: sleep states and resets (ACPI 6.3, 4.8.3; the FADT's reset
 * register, 4.8.3.6; PIIX3's and ICH's reset control at CF9).
 *
 * Power-off and hibernation (S5, S4) pass. A sleep from which the OS would wake
 * without Shoji does not: its SLP_EN is dropped, and the OS finds the wake
 * status set at once, as if it had been woken in the same moment. Which is
 * which comes from the \_Sx objects; what none of them names is refused.
 */
#ifndef CORE_VIRT_POWER_H
#define CORE_VIRT_POWER_H

#include "core/io/acpi.h"

/*
 * Hooks the registers; once, before the guest runs. @acpi is kept.
 *
 * @wipe is called, on the CPU that makes the access, right before the hardware
 * sees a power-off, hibernation or reset. It forgets the keys and makes every
 * protected device refuse from then on, since the machine need not end at once
 * or at all; it may be called again. NULL if there are no keys: then resets are
 * not looked at (which spares an exit for each use of CF8 when nothing else
 * hooks it).
 */
void power_init(const struct acpi *acpi, void (*wipe)(void));

/*
 * Keeps the guest from moving the registers of sleep to other ports, on QEMU's
 * chipsets and Intel's up to the 200 series: after pci_set_ecam(), if there are
 * keys. -ENOENT if ACPI does not tell where they are, else errors as of
 * pci_guard().
 */
int power_guard(void) must_check;

/* After @wipe, a real reset of the machine: for a guest's triple fault. */
noreturn void power_reset(void);

#endif
