import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { bearerOf } from '../rest/account'
import { rest } from '../rest/client'
import { deviceId } from '../rest/push'

export const DEVICE = ['device'] as const

interface Device {
  device_id: string
  alerts: boolean
}

/** This browser as the server knows it. */
async function readDevice(): Promise<Device | null> {
  const { items } = (await rest.get<{ items: Device[] }>('/me/devices', bearerOf())).data
  return items.find(({ device_id: id }) => id === deviceId()) ?? null
}

async function patchDevice(alerts: boolean): Promise<Device> {
  return (await rest.patch<Device>(`/me/devices/${deviceId()}`, { alerts }, bearerOf())).data
}

export interface DeviceAlerts {
  /** Its owner has turned alerts off here. */
  off: boolean
  turning: boolean
  /** Why the last turn was refused. */
  fault: unknown
  turn: () => void
}

/** The switch for the alerts of this browser alone, once it is registered. */
export function useDevice(): DeviceAlerts {
  const queries = useQueryClient()
  const { data } = useQuery({ queryKey: DEVICE, queryFn: readDevice, enabled: deviceId() !== null })
  const [turning, setTurning] = useState(false)
  const [fault, setFault] = useState<unknown>()
  const off = data?.alerts === false

  function turn() {
    if (turning) return
    setTurning(true)
    patchDevice(off)
      .then((device) => {
        queries.setQueryData(DEVICE, device)
        setFault(undefined)
      }, setFault)
      .finally(() => setTurning(false))
  }

  return { off, turning, fault, turn }
}
