/** How a device's registers are written in views. */
import type { DeviceRegisterSnapshot } from '../../protocol/messages';

const hexadecimal = (value: number, bits: number): string => `0x${value.toString(16).toUpperCase().padStart(Math.ceil(bits / 4), '0')}`;

export function valueText({ value, bits }: DeviceRegisterSnapshot): string {
  return value === undefined ? '' : hexadecimal(value, bits);
}

/** "port 0x3D5, index 0x0C". Ports have 16 bits; what is beyond is memory. */
export function addressText({ address, index }: DeviceRegisterSnapshot): string {
  const place = address > 0xffff ? `address ${hexadecimal(address, 32)}` : `port ${hexadecimal(address, address > 0xff ? 12 : 8)}`;
  return index === undefined ? place : `${place}, index ${hexadecimal(index, 8)}`;
}

/** The bit fields with their values, high to low: a flag is 0 or 1, a wider one is hexadecimal. */
export function fieldRows({ fields, value }: DeviceRegisterSnapshot): { name: string; value: string }[] {
  if (value === undefined) return [];
  return fields.map(({ name, bit, width }) => {
    const content = Math.floor(value / 2 ** bit) % 2 ** width;
    return { name: width === 1 ? `${name} (bit ${bit})` : `${name} (bits ${bit + width - 1}–${bit})`, value: width === 1 ? String(content) : hexadecimal(content, width) };
  });
}
