/** The formats of JSON Schema that can be written as patterns. Each is a part of what the format allows (no 29 February, no leap second). */
const octet = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const label = '[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?';
/** The last part of a name: letters, so that it is no address. */
const domain = '[a-z]{2,10}';
const date = '[12]\\d{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))';
const time = '(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?(?:Z|[+-](?:0\\d|1[0-4]):[0-5]\\d)';

export const formats: Readonly<Record<string, string>> = {
  date, time, 'date-time': `${date}T${time}`,
  duration: 'P(?:[1-9]\\d{0,3}W|[1-9]\\d{0,3}D(?:T[1-9]\\d{0,3}[HMS])?|T[1-9]\\d{0,3}[HMS])',
  uuid: '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}',
  ipv4: `${octet}\\.${octet}\\.${octet}\\.${octet}`,
  ipv6: '(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}',
  hostname: `${label}(?:\\.${label}){0,3}`,
  email: `[a-zA-Z0-9_+]{1,24}(?:\\.[a-zA-Z0-9_+]{1,24}){0,2}@${label}(?:\\.${label}){0,1}\\.${domain}`,
  uri: `https?://${label}(?:\\.${label}){0,2}\\.${domain}(?:/[a-zA-Z0-9._~\\-]{0,32}){0,4}`,
};
