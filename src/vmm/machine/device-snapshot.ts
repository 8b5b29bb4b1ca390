/** A device's registers and their present values as the protocol carries them. */
import type { DeviceSnapshot } from '../../protocol/messages';
import type { Device } from '../devices/device';

export function deviceSnapshot(device: Device): DeviceSnapshot {
  const values = device.registerValues?.() ?? [];
  return {
    id: device.id,
    title: device.title,
    registers: (device.registers ?? []).map(({ fields = [], bits = 8, ...row }, n) => ({ ...row, bits, fields, ...(values[n] !== undefined && { value: values[n] }) })),
  };
}
